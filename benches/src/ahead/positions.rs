//! Epochs: which rows are in one, and where the source goes on behind it.

use timely::dataflow::InputHandleVec;
use timely_kusto::PositionAt;

use crate::feed::{BATCH, Share};

/// How times become epochs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    batch: u64,
    batches: u64,
}

impl Calendar {
    /// Epochs of about so many rows, of all workers together.
    pub(crate) fn new(rows_per_epoch: u64, workers: usize) -> Self {
        let own = rows_per_epoch.div_ceil(workers as u64).max(1);
        let batch = own.min(BATCH as u64);
        Calendar { batch, batches: (own + batch / 2) / batch }
    }

    /// Rows handed over at one time.
    pub(crate) fn batch(self) -> usize {
        usize::try_from(self.batch).unwrap_or(BATCH)
    }

    /// The epoch of a time.
    pub(crate) fn epoch(self, time: u64) -> u64 {
        time / self.batches
    }

    /// The first time of an epoch.
    pub(crate) fn begin(self, epoch: u64) -> u64 {
        epoch * self.batches
    }
}

/// Says, at the end of each epoch, where this worker's part of the source goes on.
pub(crate) struct Positions {
    input: Option<InputHandleVec<u64, PositionAt>>,
    partition: String,
    share: Share,
    calendar: Calendar,
    epoch: u64,
}

impl Positions {
    pub(crate) fn new(
        input: InputHandleVec<u64, PositionAt>,
        partition: String,
        share: Share,
        calendar: Calendar,
    ) -> Self {
        Positions { input: Some(input), partition, share, calendar, epoch: calendar.epoch(share.time) }
    }

    /// The source has come to this time, which may be its end.
    pub(crate) fn reach(&mut self, (time, over): (u64, bool)) {
        let Some(input) = &mut self.input else { return };
        if *input.time() < time {
            self.close(self.calendar.epoch(time));
            self.input.iter_mut().for_each(|input| input.advance_to(time));
        }
        if over {
            let has_rows = time > self.calendar.begin(self.epoch);
            self.close(self.epoch + u64::from(has_rows));
            self.input = None;
        }
    }

    /// Ends the epochs below `bound`.
    fn close(&mut self, bound: u64) {
        let Some(input) = &mut self.input else { return };
        while self.epoch < bound {
            self.epoch += 1;
            let end = self.calendar.begin(self.epoch);
            let next = self.share.row_at(end).min(self.share.row_behind());
            input.advance_to((end - 1).max(*input.time()));
            input.send((self.partition.clone(), next.to_le_bytes().to_vec()));
        }
    }
}
