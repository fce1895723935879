//! Rows like those of the `StormEvents` sample.

use std::fmt::Write;

/// The columns of the table.
pub(crate) const COLUMNS: &str = "(StartTime:datetime, EndTime:datetime, EpisodeId:int, EventId:int, State:string, EventType:string, \
     InjuriesDirect:int, InjuriesIndirect:int, DeathsDirect:int, DeathsIndirect:int, DamageProperty:int, DamageCrops:int, \
     Source:string, BeginLat:real, BeginLon:real, EpisodeNarrative:string, StormSummary:dynamic)";

/// Rows as wide as those of the sample: instants, names, counts, places, a sentence, and a property bag.
pub(crate) fn rows(rows: u64) -> String {
    const STATES: [&str; 5] = ["TEXAS", "KANSAS", "FLORIDA", "NEW YORK", "NORTH DAKOTA"];
    const KINDS: [&str; 4] = ["Thunderstorm Wind", "Hail", "Flash Flood", "Winter Storm"];
    let mut text = String::with_capacity(rows as usize * 260);
    for row in 0..rows {
        let (day, hour, minute) = (row % 28 + 1, row % 24, row % 60);
        let (state, kind) = (STATES[row as usize % 5], KINDS[row as usize % 4]);
        let _ = writeln!(
            text,
            "2007-01-{day:02}T{hour:02}:{minute:02}:00Z,2007-01-{day:02}T{hour:02}:{minute:02}:59Z,{},{row},{state},{kind},{},{},{},{},\
             {},0,Trained Spotter,{}.25,-{}.75,\"Trees and power lines were blown down, \"\"some\"\" of them over roads near mile {row}\",\
             \"{{\"\"TotalDamages\"\":{},\"\"Details\"\":{{\"\"Location\"\":\"\"{state}\"\",\"\"Event\"\":{row}}}}}\"",
            row / 7,
            row % 3,
            row % 2,
            row % 5,
            row % 4,
            row * 100,
            row % 60 + 20,
            row % 60 + 70,
            row * 10,
        );
    }
    text
}
