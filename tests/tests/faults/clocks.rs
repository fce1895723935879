//! Clocks that differ by an hour: this machine's from the cluster's.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use kusto_client::ConnectionOptionsBuilder;
use kusto_emulator::clock::{Clock, SystemClock};
use kusto_emulator::{Endpoint, Grant};

use crate::rig::{APP, DATABASE, KEY, ROWS, Rig, TABLE, TENANT, options, rows, send};

/// The system's clock, moved.
#[derive(Clone, Copy, Debug)]
struct Wrong(SignedDuration);

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        SystemClock.sleep_until(moment - self.0).boxed()
    }
}

fn arrives(hours: i64, sign_in: impl Fn(&Rig, ConnectionOptionsBuilder) -> ConnectionOptionsBuilder) {
    let clock = Wrong(SignedDuration::from_hours(hours));
    let rig = Rig::with(|builder| builder.clock(clock).batching_time(Duration::from_millis(5)));
    let connection = sign_in(&rig, rig.unsigned()).build().unwrap();
    send(&connection, options(), rows(0..ROWS)).unwrap();
    rig.has_every_row_once(&format!("{hours} h"));
    assert!(rig.requests(Endpoint::SignIn, "") <= 8, "it does not sign in for each request over and over");
}

#[test]
fn an_application_delivers_with_a_clock_that_is_an_hour_off() {
    for hours in [-1, 1] {
        arrives(hours, |_, builder| builder.application(APP, KEY, TENANT));
    }
}

/// Its tokens say when they expire by the cluster's clock: with a slow one there, they seem to have expired already.
#[test]
fn a_managed_identity_delivers_with_a_clock_that_is_an_hour_off() {
    for hours in [-1, 1, -2, 2] {
        arrives(hours, |rig, builder| {
            let grants = [Grant::database(DATABASE, "users"), Grant::table(DATABASE, TABLE, "ingestors")];
            rig.handle.grant(&rig.handle.system_identity(), &grants).unwrap();
            builder.managed_identity().authority(rig.url())
        });
    }
}
