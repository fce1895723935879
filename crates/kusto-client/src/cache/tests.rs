use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;

use super::*;
use crate::ErrorKind;

/// A source that counts fetches, takes a second for each, and fails when told to.
#[derive(Clone, Default)]
struct Source {
    fetches: Arc<AtomicUsize>,
    broken: Arc<std::sync::atomic::AtomicBool>,
}

impl Source {
    async fn fetch(self) -> Result<Fresh<usize>> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Service, "fetch", "source", format!("broken at {number}")));
        }
        let now = Instant::now();
        let (refresh_at, discard_at) = (now + Duration::from_secs(100), now + Duration::from_secs(200));
        Ok(Fresh { value: number, refresh_at, discard_at })
    }

    fn count(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn get(&self, cache: &Arc<Cached<usize>>) -> Result<usize> {
        cache.get(|| self.clone().fetch()).await.map(|held| *held.value)
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_share_one_fetch() {
    let (source, cache) = (Source::default(), Cached::new("test"));
    let values = join_all((0..20).map(|_| source.get(&cache))).await;
    assert!(values.into_iter().all(|value| value.unwrap() == 1));
    assert_eq!(source.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_share_one_failure_and_the_next_tries_again() {
    let (source, cache) = (Source::default(), Cached::new("test"));
    source.broken.store(true, Ordering::SeqCst);
    let errors = join_all((0..20).map(|_| source.get(&cache))).await;
    assert!(errors.into_iter().all(|error| error.unwrap_err().message() == "broken at 1"));
    assert_eq!(source.count(), 1);
    source.broken.store(false, Ordering::SeqCst);
    assert_eq!(source.get(&cache).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_used_while_a_new_one_is_fetched_behind() {
    let (source, cache) = (Source::default(), Cached::new("test"));
    source.get(&cache).await.unwrap();
    pass(150).await;
    let asked = Instant::now();
    assert_eq!(source.get(&cache).await.unwrap(), 1);
    assert_eq!(source.get(&cache).await.unwrap(), 1);
    assert_eq!(asked.elapsed(), Duration::ZERO, "nobody waits");
    pass(2).await;
    assert_eq!(source.get(&cache).await.unwrap(), 2);
    assert_eq!(source.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_outlives_failures_but_not_its_end() {
    let (source, cache) = (Source::default(), Cached::new("test"));
    source.get(&cache).await.unwrap();
    source.broken.store(true, Ordering::SeqCst);
    pass(110).await;
    for _ in 0..10 {
        assert_eq!(source.get(&cache).await.unwrap(), 1);
        pass(5).await;
    }
    assert!(source.count() <= 3, "one attempt a minute, not {}", source.count());
    pass(60).await;
    assert!(source.get(&cache).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn only_the_refused_value_is_thrown_away() {
    let (source, cache) = (Source::default(), Cached::new("test"));
    let held = cache.get(|| source.clone().fetch()).await.unwrap();
    cache.refuse(held.stamp);
    assert_eq!(source.get(&cache).await.unwrap(), 2);
    cache.refuse(held.stamp);
    assert_eq!(source.get(&cache).await.unwrap(), 2);
}
