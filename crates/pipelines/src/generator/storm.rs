//! Storm events made up from a seed: rows with the shape of the well-known sample table, about 296 bytes each in CSV,
//! which gzip makes three and a half times smaller.
//!
//! Row `i` of a seed depends on nothing else, so that any number of workers can share the rows and a restart can go on
//! at any of them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use timely_kusto::types::DateTime;
use uuid::Uuid;

/// One storm event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Storm {
    /// Unique to the row.
    pub event_id: Uuid,
    /// When it began.
    pub start_time: DateTime,
    /// When it ended, up to two days later.
    pub end_time: DateTime,
    /// The number of the weather episode; several events share one.
    pub episode_id: i64,
    /// Where.
    pub state: Cow<'static, str>,
    /// What.
    pub event_type: Cow<'static, str>,
    /// People hurt.
    pub injuries_direct: i32,
    /// People killed.
    pub deaths_direct: i32,
    /// Damage in dollars, where it was estimated.
    pub damage_property: Option<i64>,
    /// Damage to crops in dollars.
    pub damage_crops: i64,
    /// Who reported it.
    pub source: Cow<'static, str>,
    /// Degrees north.
    pub begin_lat: f64,
    /// Degrees east.
    pub begin_lon: f64,
    /// A sentence or two; with commas always, with quotes at times.
    pub event_narrative: String,
}

/// Names and Kusto types of the columns, in the order of the fields.
pub const COLUMNS: [(&str, &str); 14] = [
    ("EventId", "guid"),
    ("StartTime", "datetime"),
    ("EndTime", "datetime"),
    ("EpisodeId", "long"),
    ("State", "string"),
    ("EventType", "string"),
    ("InjuriesDirect", "int"),
    ("DeathsDirect", "int"),
    ("DamageProperty", "long"),
    ("DamageCrops", "long"),
    ("Source", "string"),
    ("BeginLat", "real"),
    ("BeginLon", "real"),
    ("EventNarrative", "string"),
];

const STATES: [&str; 16] = [
    "TEXAS",
    "KANSAS",
    "FLORIDA",
    "OKLAHOMA",
    "IOWA",
    "NEBRASKA",
    "ILLINOIS",
    "MISSOURI",
    "GEORGIA",
    "COLORADO",
    "NORTH CAROLINA",
    "SOUTH DAKOTA",
    "PENNSYLVANIA",
    "NEW YORK",
    "ATLANTIC SOUTH",
    "GULF OF MEXICO",
];

const EVENT_TYPES: [&str; 16] = [
    "Thunderstorm Wind",
    "Hail",
    "Flash Flood",
    "Drought",
    "Winter Weather",
    "Winter Storm",
    "Heavy Snow",
    "High Wind",
    "Tornado",
    "Flood",
    "Frost/Freeze",
    "Heavy Rain",
    "Lightning",
    "Strong Wind",
    "Dense Fog",
    "Waterspout",
];

const SOURCES: [&str; 8] = [
    "Trained Spotter",
    "Law Enforcement",
    "Public",
    "Emergency Manager",
    "COOP Observer",
    "Newspaper",
    "Amateur Radio",
    "NWS Storm Survey",
];

const PLACES: [&str; 16] = [
    "Abilene",
    "Salina",
    "Ocala",
    "Norman",
    "Ames",
    "Kearney",
    "Peoria",
    "Joplin",
    "Macon",
    "Pueblo",
    "Boone",
    "Yankton",
    "Altoona",
    "Elmira",
    "Folly Beach",
    "Port Isabel",
];

const WHAT: [&str; 16] = [
    "Several trees were blown down",
    "Hail the size of golf balls fell",
    "A barn lost most of its roof",
    "Water covered the road",
    "Power lines were down",
    "Two vehicles were overturned",
    "A small creek left its banks",
    "Winds took the shingles off a house",
    "Snow drifted over a fence",
    "A funnel cloud was seen",
    "Large branches blocked a street",
    "A grain bin was destroyed",
    "Windows were broken",
    "Visibility fell to a quarter mile",
    "Crops were flattened in a wide swath",
    "A dock was damaged by waves",
];

const WHERE: [&str; 8] = [
    "along the county road",
    "near the airport",
    "in the downtown area",
    "at the edge of the lake",
    "on the east side",
    "close to the state park",
    "by the interstate",
    "around the high school",
];

const THEN: [&str; 8] = [
    "No one was hurt.",
    "Damage was estimated by the fire department.",
    "The road was closed until morning.",
    "A spotter called it \"the worst in years\".",
    "Crews restored power by noon.",
    "The time was taken from radar.",
    "Rain had fallen for two days before.",
    "Schools opened late.",
];

/// Row `index` of the rows of `seed`.
pub fn storm(seed: u64, index: u64) -> Storm {
    let mut chance = Chance::new(seed, index);
    let event_id = event_id(&mut chance);
    let start = start_ticks(index, &mut chance);
    let lasted = chance.below(2 * 86_400) as i64 * TICKS_PER_SECOND;
    let damage = damage(&mut chance);
    Storm {
        event_id,
        start_time: datetime(start),
        end_time: datetime(start + lasted),
        episode_id: 10_000 + (index / 7) as i64,
        state: chance.pick(&STATES).into(),
        event_type: chance.pick(&EVENT_TYPES).into(),
        injuries_direct: rarely(&mut chance, 40),
        deaths_direct: rarely(&mut chance, 5),
        damage_property: (chance.below(8) > 0).then_some(damage),
        damage_crops: damage / 7,
        source: chance.pick(&SOURCES).into(),
        begin_lat: 25.0 + chance.below(240_000) as f64 / 10_000.0,
        begin_lon: -124.0 + chance.below(570_000) as f64 / 10_000.0,
        event_narrative: narrative(&mut chance),
    }
}

const TICKS_PER_SECOND: i64 = 10_000_000;

/// 2007-01-01T00:00:00Z in ticks.
const FIRST_START: i64 = 633_032_064_000_000_000;

/// Starts go up by about a minute per row, and begin again after some ninety years.
fn start_ticks(index: u64, chance: &mut Chance) -> i64 {
    let minute = (index % (90 * 365 * 1_440)) as i64;
    FIRST_START + (minute * 60 + chance.below(60) as i64) * TICKS_PER_SECOND + chance.below(10_000_000) as i64
}

fn datetime(ticks: i64) -> DateTime {
    DateTime::from_ticks(ticks).expect("the years 2007 to 2098 are in range")
}

fn event_id(chance: &mut Chance) -> Uuid {
    Uuid::from_u64_pair(chance.next() & !0xf000 | 0x4000, chance.next() & (u64::MAX >> 2) | 1 << 63)
}

/// Zero for most, else below `limit`.
fn rarely(chance: &mut Chance, limit: u64) -> i32 {
    if chance.below(16) == 0 { chance.below(limit) as i32 } else { 0 }
}

/// Dollars: mostly round thousands.
fn damage(chance: &mut Chance) -> i64 {
    let thousands = chance.below(10) * chance.below(10) * chance.below(100);
    (thousands * 1000) as i64
}

fn narrative(chance: &mut Chance) -> String {
    let mut text = String::with_capacity(192);
    text.push_str(chance.pick(&WHAT));
    text.push(' ');
    text.push_str(chance.pick(&WHERE));
    text.push_str(", ");
    push_number(&mut text, 1 + chance.below(30));
    text.push_str(" miles ");
    text.push_str(chance.pick(&["N", "NE", "E", "SE", "S", "SW", "W", "NW"]));
    text.push_str(" of ");
    text.push_str(chance.pick(&PLACES));
    text.push_str(", gusts of ");
    push_number(&mut text, 35 + chance.below(64));
    text.push_str(" mph. ");
    text.push_str(chance.pick(&THEN));
    text
}

fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        text.push(char::from(b'0' + (number / 10 % 10) as u8));
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// Numbers that depend on the seed and the row only: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, 2014).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn new(seed: u64, index: u64) -> Self {
        let mut first = Chance(seed);
        let mut chance = Chance(first.next() ^ index.wrapping_mul(0xd6e8_feb8_6659_fd93));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is small: how far it is from even does not matter here.
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len() as u64) as usize]
    }
}
