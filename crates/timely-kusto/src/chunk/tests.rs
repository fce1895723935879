use super::*;

const CHUNK: usize = 4 * Buffers::SMALL;

fn whole(buffers: &Buffers) -> Vec<u8> {
    let mut buffer = b"row\n".to_vec();
    buffers.move_to_whole(&mut buffer, CHUNK);
    assert_eq!(buffer, b"row\n");
    assert!(buffer.capacity() > CHUNK);
    buffer
}

#[test]
fn a_whole_buffer_comes_back_empty_and_a_small_one_does_not() {
    let (buffers, budget) = (Buffers::default(), Budget::new(8 * CHUNK));
    let first = whole(&buffers);
    let address = first.as_ptr();
    buffers.give(first, &budget);
    buffers.give(vec![1; 100], &budget);
    let (again, other) = (whole(&buffers), whole(&buffers));
    assert_eq!(again.as_ptr(), address);
    assert_ne!(other.as_ptr(), address);
}

#[test]
fn idle_buffers_and_rows_together_take_little_more_than_the_limit() {
    let (buffers, budget) = (Buffers::default(), Budget::new(3 * CHUNK));
    let mut rows = budget.reserve();
    let taken: Vec<_> = (0..3).map(|_| whole(&buffers)).collect();
    rows.resize(2 * CHUNK);
    taken.into_iter().for_each(|buffer| buffers.give(buffer, &budget));
    assert_eq!(buffers.lock().len(), 1);
    rows.resize(3 * CHUNK);
    let taken = whole(&buffers);
    buffers.give(taken, &budget);
    assert_eq!(buffers.lock().len(), 0);
}
