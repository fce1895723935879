use super::*;

#[test]
fn the_clocks_advance_with_work() {
    let (thread, process) = (thread_cpu(), process_cpu());
    let mut sum = 0_u64;
    while thread_cpu() == thread {
        sum = std::hint::black_box(sum.wrapping_add(1));
    }
    assert!(process_cpu() > process);
}

#[test]
fn a_field_of_the_status_is_in_bytes() {
    assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmHWM:\t   20 kB\n", "VmHWM:"), Some(20 * 1024));
    assert_eq!(kilobytes("VmPeak:\t 9 kB\n", "VmHWM:"), None);
}
