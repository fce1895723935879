//! `timely-kusto bench`.

use crate::args::BenchArguments;
use crate::exit::{Exit, Stop};

/// Measures and prints.
pub(crate) fn bench(_arguments: &BenchArguments) -> Result<Exit, Stop> {
    Err(Stop::failed("bench is being wired"))
}
