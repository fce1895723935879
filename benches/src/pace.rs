//! How fast rows are delivered once the sink is going.

use std::time::Instant;

/// Deliveries seen so far.
///
/// A run has a beginning (connections, the first blob fills) and an end (the last blob's way), both of which take the
/// longer the slower requests are, however many rows there are. Between the first and the last delivery neither counts:
/// what is left is the rate that a long run has.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    first: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
    deliveries: u32,
}

impl Pace {
    /// Fewer deliveries make no rate: one more or less on either side would change it by too much.
    const LEAST_DELIVERIES: u32 = 6;

    /// Looks at how many rows are delivered by now.
    pub(crate) fn note(&mut self, now: Instant, rows: u64) {
        if rows > self.last.map_or(0, |(_, rows)| rows) {
            self.last = Some((now, rows));
            self.first = self.first.or(self.last);
            self.deliveries += 1;
        }
    }

    /// Rows per second between the first and the last delivery.
    pub(crate) fn rate(&self) -> Option<f64> {
        let ((began, before), (ended, after)) = (self.first?, self.last?);
        let enough = self.deliveries >= Self::LEAST_DELIVERIES && ended > began;
        enough.then(|| (after - before) as f64 / (ended - began).as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
