use super::*;

fn pressure() -> Pressure {
    let log = epoch_log::Budget::new(1 << 30, 1 << 29).unwrap();
    Pressure::new(Budget::new(1 << 20), Arc::new(log), 1024)
}

#[test]
fn the_listing_of_the_staging_table_stays_below_what_the_service_answers_however_many_processes_there_are() {
    for (workers, of_all) in [(1, 1), (2, 2), (1, 4), (3, 12), (2, 7), (1, 200_000)] {
        let pressure = pressure();
        pressure.share_chunks(workers, of_all);
        let share = (MOST_CHUNKS * workers / of_all).max(1);
        pressure.set_chunks(share);
        assert_eq!(pressure.pause(), None, "{workers} of {of_all}");
        pressure.set_chunks(share + 1);
        assert_eq!(pressure.pause(), Some(Pause::Chunks), "{workers} of {of_all}");
        pressure.set_chunks(share);
        assert!(!pressure.is_full());
    }
}
