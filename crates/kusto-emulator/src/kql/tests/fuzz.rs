//! Mangled queries never panic and always end.

use super::super::{Options, parse, parse_operators};
use super::{run, storms};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::time::Duration;

/// How many rounds a fuzz test makes: `least`, times `KQL_FUZZ_LONG` where that is set.
pub(super) fn rounds(least: usize) -> usize {
    least * std::env::var("KQL_FUZZ_LONG").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// A source of chance that tells how to repeat it: each round has a seed of its own.
pub(super) struct Fuzz {
    what: &'static str,
    seed: u64,
    pub(super) rng: StdRng,
}

impl Fuzz {
    /// Starts from `KQL_FUZZ_SEED` where that is set.
    pub(super) fn new(what: &'static str) -> Fuzz {
        let given = std::env::var("KQL_FUZZ_SEED").ok().and_then(|s| s.parse().ok());
        let seed = given.unwrap_or_else(rand::random::<u64>);
        Fuzz { what, seed: seed.wrapping_sub(1), rng: StdRng::seed_from_u64(seed) }
    }

    /// The next round: the same seed gives the same round.
    pub(super) fn next_round(&mut self) {
        self.seed = self.seed.wrapping_add(1);
        self.rng = StdRng::seed_from_u64(self.seed);
    }

    pub(super) fn one_of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.rng.random_range(0..items.len())]
    }
}

impl fmt::Display for Fuzz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: KQL_FUZZ_SEED={}", self.what, self.seed)
    }
}

const SEEDS: [&str; 23] = [
    "Storms | where Kind has 'Hail' and Deaths >= 0 | summarize count(), sum(Damage) by bin(Start, 1d), State | top 3 by count_",
    "let n = 2; let T = Storms | take n; union T, (print x = dynamic({'a':[1,'b']})) | extend y = x.a[0], z = strcat('ä', n)",
    "datatable(a:long, b:string)[1, 'x', 2, @'y'] | sort by a asc nulls first, b | project-away a | getschema",
    "range i from -5 to 5 step 2 | extend r = 10 / i, m = i % 3, t = 1d * i, s = tostring(i) | where r between (1 .. 9)",
    "declare query_parameters(p:long = 5); print p, h'k', ```m```, 1.5e3, 0xff, 1tick, datetime(2024-02-29), guid(null)",
    "Storms | where Details.b[1] == 20 or State in~ ('texas', 'KANSAS') | mv-expand Details to typeof(string) limit 2",
    "Storms | summarize arg_max(Damage, *), make_set(Kind), dcount(State), x = avg(Lat) * 2 by Deaths | project-reorder D*, x",
    "print case(1 > 2, 'a', 2 > 1, 'b', 'c'), iff(true, 1, 2), coalesce('', 'x'), substring('abcäöü', -3, 2), split('a,b', ',')",
    "Storms | extend e = extract('([a-z]+)', 1, Kind), i = indexof(State, 'A', 2), t = trim('[A-Z]', State), f = format_datetime(Start, 'yyyy-MM-dd HH:mm')",
    "Storms | distinct State, Kind | project-rename ['a b'] = State | where ['a b'] !startswith 'T' | count",
    "print bin(4.5, 1), startofmonth(now(), -1), datetime_diff('week', now(), ago(10d)), datetime_add('year', 9999, now()), round(2.345, 2)",
    "Storms | join kind=fullouter hint.strategy=shuffle (Storms | extend n = 1) on State, $left.Kind == $right.Kind | count",
    "Storms | lookup kind=inner (datatable(State:string, Code:int)['TEXAS', 1]) on State | project Code, State",
    "let f = (T:(State:string), n:long = 3) { let m = n * 2; T | take m }; let g = (x:long) { x + 1 }; f(Storms, g(1)) | extend g(2)",
    "let V1 = view () { print x = 1 }; union withsource=S kind=outer isfuzzy=true V*, Storms, (V1 | where x > 0) | summarize count() by S",
    "Storms | parse Kind with a ' ' b:long * 'x' | parse-where State with * 'T' rest | project a, b, rest",
    "Storms | mv-expand kind=array with_itemindex=i Details, x = pack_array(1, 'a') to typeof(long) limit 5 | where State in (Kind, 'a')",
    "Storms | summarize percentiles(Lat, 5, 50.5), stdevif(Deaths, Deaths > 0), make_bag(Details), binary_all_xor(Damage), percentiles_array(Start, dynamic([1,99]))",
    "print hash('a', 7), extract_all('(a)(b)?', 'abab'), array_slice(dynamic([1,2]), -9, 9), make_timespan(1, 2, 3.5, 4), format_timespan(1.5h, 'd.hh:mm'), set_union(dynamic([1]), dynamic(['a'])), strrep('ab', 9), range(1, 5, 2), table('x')",
    "Storms | sort by Start | serialize n = row_number(), p = prev(State, 2, 'none'), c = row_cumsum(Damage, State != prev(State)) | as S | where n < 9 | union S",
    "datatable(a:dynamic)[dynamic([3, 1])] | mv-apply with_itemindex=i e = a to typeof(long) limit 9 on (top 1 by e | extend m = e * i) | sample 3 | sample-distinct 2 of m",
    "let m = materialize(Storms | extend r = rand(9)); let f = (T:(*), n:long) { T | take n }; m | invoke f(2) | parse kind=regex flags=i State with '(t)' r2:long 'x?'; m | count",
    "set notruncation; Storms | where not(isnull(Deaths)) and Lat matches regex '.*' | order by Start desc | limit 2",
];

const SPLICES: [&str; 24] = [
    "(",
    ")",
    "[",
    "]",
    "|",
    ",",
    "..",
    "'",
    "\"",
    "```",
    "// ",
    "\n",
    "-",
    "*",
    " by ",
    " and ",
    "null",
    "dynamic(",
    "0",
    "9223372036854775807",
    "1e308",
    "ä",
    "\0",
    " in (Storms) ",
];

fn mangled(rng: &mut StdRng) -> String {
    let mut text: Vec<char> = SEEDS[rng.random_range(0..SEEDS.len())].chars().collect();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..text.len().max(1)).min(text.len());
        match rng.random_range(0..4) {
            0 => text.truncate(at.max(1)),
            1 => drop(text.splice(at..at, SPLICES[rng.random_range(0..SPLICES.len())].chars())),
            2 => {
                let other: Vec<char> = SEEDS[rng.random_range(0..SEEDS.len())].chars().collect();
                let from = rng.random_range(0..other.len());
                let to = (from + rng.random_range(1..30)).min(other.len());
                text.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = (at + rng.random_range(1..8)).min(text.len());
                text.drain(at..end);
            }
        }
    }
    text.into_iter().collect()
}

/// Bytes turned, dropped, doubled: what is left of them as text.
fn damaged(rng: &mut StdRng) -> String {
    let mut bytes = SEEDS[rng.random_range(0..SEEDS.len())].as_bytes().to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..3) {
            0 => bytes[at] = rng.random(),
            1 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn mangled_queries_never_panic_and_always_end() {
    let mut fuzz = Fuzz::new("mangled");
    let database = storms();
    let options = Options {
        max_rows: 1_000,
        max_memory: 8 << 20,
        timeout: Duration::from_secs(2),
        ..Options::default()
    };
    let mut answered = 0;
    for round in 0..rounds(3_000) {
        fuzz.next_round();
        let text = if round % 3 == 0 { damaged(&mut fuzz.rng) } else { mangled(&mut fuzz.rng) };
        let outcome = std::panic::catch_unwind(|| match parse(&text) {
            Ok(query) => run(&query, &database, &options).is_ok(),
            Err(_) => {
                let _ = parse_operators(&text);
                false
            }
        });
        match outcome {
            Ok(ok) => answered += usize::from(ok),
            Err(_) => panic!("{fuzz}: {text:?}"),
        }
    }
    assert!(answered > 20, "{fuzz}: only {answered} mangled queries were still queries");
}
