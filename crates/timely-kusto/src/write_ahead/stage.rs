//! STAGE: the chunks of sealed files into the staging table, each by a task of its own; a file's capability is kept until
//! all its chunks are there. The stream's frontier is S.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use commit_protocol::{Attempt, StagedChunk, Tag};
use epoch_log::SealedFile;
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::order::TotalOrder;
use timely::progress::Timestamp;

use super::WriteAheadError;
use super::message::positions_of;
use super::sink::Session;

/// What a file brought: chunks that are in the staging table as far as their status says, positions that changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) chunks: Vec<StagedChunk>,
    pub(super) positions: Vec<(u64, String, Vec<u8>)>,
}

/// A file whose chunks are on their way.
struct OnTheWay<T: Timestamp> {
    at: Capability<T>,
    waits_for: usize,
    description: Description,
}

type Outcome = (u64, Result<StagedChunk, WriteAheadError>);

/// Builds the operator.
pub(super) fn stage<'scope, T: Timestamp + TotalOrder>(
    files: StreamVec<'scope, T, SealedFile>,
    session: &Rc<Session>,
) -> StreamVec<'scope, T, Description> {
    let scope = files.scope();
    let mut builder = OperatorBuilder::new("Stage".to_owned(), scope);
    let address = builder.operator_info().address.to_vec();
    let operator = scope.worker().sync_activator_for(address);
    let mut files = builder.new_input(files, Pipeline);
    let (out, stream) = builder.new_output::<Vec<Description>>();
    let mut out = OutputBuilder::from(out);
    let session = Rc::clone(session);
    let (tell, outcomes) = crossbeam_channel::unbounded::<Outcome>();

    builder.build(move |_capabilities| {
        let mut under_way: BTreeMap<u64, OnTheWay<T>> = BTreeMap::new();
        let mut next = 0;
        move |_frontiers| {
            let mut out = out.activate();
            files.for_each(|time, sealed| {
                for file in sealed.drain(..) {
                    let names = session.process.shelf.put(session.generation(), &file);
                    let description = Description { chunks: Vec::new(), positions: positions_of(&file) };
                    let file = OnTheWay { at: time.retain(0), waits_for: names.len(), description };
                    for chunk in names {
                        let tag = session.tag(chunk, Attempt(0));
                        let (tell, operator) = (tell.clone(), operator.clone());
                        spawn(&session, tag, move |outcome| {
                            let _ = tell.send((next, outcome)); // the dataflow may be gone
                            let _ = operator.activate();
                        });
                    }
                    under_way.insert(next, file);
                    next += 1;
                    session.process.pressure.set_chunks(session.process.shelf.len());
                }
            });
            while let Ok((file, outcome)) = outcomes.try_recv() {
                let Some(on) = under_way.get_mut(&file) else { continue };
                match outcome {
                    Ok(chunk) => {
                        on.description.chunks.push(chunk);
                        on.waits_for -= 1;
                    }
                    // It stays under way, and holds the clock; the reason is on the handle.
                    Err(WriteAheadError::Ended) => {}
                    Err(error) => session.process.trouble(error, true),
                }
            }
            under_way.retain(|_, on| {
                if on.waits_for == 0 {
                    out.session(&on.at).give(std::mem::take(&mut on.description));
                }
                on.waits_for > 0
            });
        }
    });
    stream
}

fn spawn(
    session: &Session,
    tag: Tag,
    tell: impl FnOnce(Result<StagedChunk, WriteAheadError>) + Send + 'static,
) {
    let (process, into) = (Arc::clone(&session.process), session.staging());
    let place = process.shelf.find(tag.chunk);
    session.process.spawn(async move {
        match place {
            Some(place) => tell(process.stage_chunk(place, tag, into).await),
            None => tell(Err(WriteAheadError::Ended)),
        }
    });
}
