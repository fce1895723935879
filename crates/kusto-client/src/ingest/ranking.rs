//! Which storage account to use: one that worked lately.
//!
//! As the official clients do (`Azure/azure-kusto-python
//! azure-kusto-ingest/azure/kusto/ingest/_ranked_storage_account.py`): successes and failures are counted per account
//! in six buckets of ten seconds; newer buckets weigh more; accounts fall into tiers by their rate, and chance decides
//! within a tier. An account without news counts as good, so one that failed is tried again after a minute.

use std::collections::HashMap;
use std::time::Duration;

use rand::{Rng, RngExt};

const BUCKETS: usize = 6;
const BUCKET: Duration = Duration::from_secs(10);
/// The least rates of the tiers; what is below all is the last.
const TIERS: [f64; 3] = [0.9, 0.7, 0.3];

/// What is known about the accounts. The clock is the caller's: a time since some fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Ranking {
    accounts: HashMap<String, [Bucket; BUCKETS]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which ten seconds it counts.
    number: u64,
    successes: u32,
    failures: u32,
}

impl Ranking {
    /// Counts one use of `account`.
    pub(crate) fn record(&mut self, account: &str, success: bool, now: Duration) {
        let number = number(now);
        let buckets = match self.accounts.get_mut(account) {
            Some(buckets) => buckets,
            None => self.accounts.entry(account.to_owned()).or_default(),
        };
        let bucket = &mut buckets[number as usize % BUCKETS];
        if bucket.number != number {
            *bucket = Bucket { number, ..Bucket::default() };
        }
        match success {
            true => bucket.successes += 1,
            false => bucket.failures += 1,
        }
    }

    /// The index of the account to use: by chance among those of the best tier, each account alike however often it is
    /// listed.
    pub(crate) fn pick(&self, accounts: &[&str], now: Duration, rng: &mut impl Rng) -> Option<usize> {
        let tier = |account: &str| tier(self.rate(account, now));
        let best = accounts.iter().map(|account| tier(account)).min()?;
        let mut names: Vec<_> = accounts.iter().filter(|account| tier(account) == best).collect();
        names.sort_unstable();
        names.dedup();
        let name = names[rng.random_range(0..names.len())];
        let places: Vec<_> = accounts
            .iter()
            .enumerate()
            .filter(|(_, account)| *account == name)
            .map(|(place, _)| place)
            .collect();
        Some(places[rng.random_range(0..places.len())])
    }

    /// The weighted share of successes in the last minute.
    fn rate(&self, account: &str, now: Duration) -> f64 {
        let Some(buckets) = self.accounts.get(account) else { return 1.0 };
        let newest = number(now);
        let (mut rates, mut weights) = (0.0, 0.0);
        for bucket in buckets {
            let (age, uses) = (newest.saturating_sub(bucket.number), bucket.successes + bucket.failures);
            if uses == 0 || age >= BUCKETS as u64 {
                continue;
            }
            let weight = (BUCKETS as u64 - age) as f64;
            rates += weight * f64::from(bucket.successes) / f64::from(uses);
            weights += weight;
        }
        if weights == 0.0 { 1.0 } else { rates / weights }
    }
}

fn number(now: Duration) -> u64 {
    now.as_secs() / BUCKET.as_secs()
}

fn tier(rate: f64) -> usize {
    TIERS.iter().position(|least| rate >= *least).unwrap_or(TIERS.len())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How often each of `accounts` is picked in a thousand times.
    fn picks(ranking: &Ranking, accounts: &[&str], now: Duration) -> Vec<usize> {
        let mut rng = StdRng::seed_from_u64(3);
        let mut picks = vec![0; accounts.len()];
        for _ in 0..1000 {
            picks[ranking.pick(accounts, now, &mut rng).unwrap()] += 1;
        }
        picks
    }

    #[test]
    fn accounts_without_news_share_the_work_however_often_they_are_listed() {
        let picks = picks(&Ranking::default(), &["a", "a", "a", "b"], at(0));
        assert!((400..600).contains(&picks[3]), "{picks:?}");
        assert!(picks.iter().all(|count| *count > 100), "{picks:?}");
        assert_eq!(Ranking::default().pick(&[], at(0), &mut rand::rng()), None);
    }

    #[test]
    fn an_account_that_fails_is_left_alone_for_a_minute() {
        let mut ranking = Ranking::default();
        ranking.record("a", false, at(5));
        assert_eq!(picks(&ranking, &["a", "b"], at(6)), [0, 1000]);
        assert_eq!(picks(&ranking, &["a", "b"], at(59)), [0, 1000]);
        assert!(picks(&ranking, &["a", "b"], at(65))[0] > 400);
        assert_eq!(picks(&ranking, &["a"], at(6)), [1000], "the only one is used all the same");
    }

    #[test]
    fn newer_news_weigh_more() {
        let mut ranking = Ranking::default();
        ranking.record("a", false, at(1));
        ranking.record("a", true, at(55));
        assert!((ranking.rate("a", at(55)) - 6.0 / 7.0).abs() < 1e-9);
        ranking.record("b", true, at(1));
        ranking.record("b", false, at(55));
        assert!((ranking.rate("b", at(55)) - 1.0 / 7.0).abs() < 1e-9);
        assert_eq!(picks(&ranking, &["a", "b"], at(55)), [1000, 0]);
    }

    #[test]
    fn old_buckets_are_reused() {
        let mut ranking = Ranking::default();
        for second in 0..10_000 {
            ranking.record("a", second < 9_900, at(second));
        }
        assert!(ranking.rate("a", at(9_999)) < 0.3);
    }
}
