//! That decisions come from the seed alone, can be carried out, and leave nothing out.

use std::collections::BTreeSet;

use super::*;

fn doubts(seed: u64) -> Doubts {
    Doubts::draw(&mut StdRng::seed_from_u64(seed))
}

fn steps(seed: u64) -> impl Iterator<Item = Step> {
    (1..=2_000).map(move |number| Step::of(seed, number, &doubts(seed)))
}

#[test]
fn a_seed_takes_the_same_decisions_again_and_another_seed_others() {
    assert!(steps(1).eq(steps(1)));
    assert_eq!(steps(1).zip(steps(2)).filter(|(one, other)| one == other).count(), 0);
    let mut backwards: Vec<_> = (1..=50).rev().map(|number| Step::of(7, number, &doubts(7))).collect();
    backwards.reverse();
    assert!(
        steps(7).zip(backwards).all(|(one, other)| one == other),
        "a step does not depend on those before it"
    );
}

#[test]
fn every_decision_can_be_carried_out() {
    for step in steps(3) {
        let Shape { processes, workers } = step.shape;
        assert!((1..=MOST_PROCESSES).contains(&processes) && (1..=3).contains(&workers), "{step:?}");
        let among = |process: &usize| *process < processes;
        assert!(
            step.lost_disks.iter().all(among) && step.stalls.iter().all(|it| among(&it.process)),
            "{step:?}"
        );
        assert!(step.full_disk.and_then(|it| it.process).is_none_or(|process| among(&process)), "{step:?}");
        assert!(step.weather.is_sorted_by_key(|(at, _)| *at) && step.weather[0].0 == 0, "{step:?}");
        match &step.ending {
            Ending::Kill { processes: killed, .. } => {
                let different: BTreeSet<_> = killed.iter().collect();
                assert!(
                    !killed.is_empty() && different.len() == killed.len() && killed.iter().all(among),
                    "{step:?}"
                );
            }
            Ending::Failpoint { process, place, .. } => {
                let coordinator = STARTING.iter().chain(&COMMITTING).any(|action| place.contains(action))
                    && !STEPS.contains(&place.split('#').next().unwrap());
                assert!(among(process) && (!coordinator || *process == 0), "{step:?}");
            }
            Ending::Stop { process, .. } => assert!(among(process), "{step:?}"),
            Ending::Rival { shape, .. } => assert!((1..=3).contains(&shape.processes), "{step:?}"),
        }
    }
}

#[test]
fn nothing_is_left_out_of_a_long_walk() {
    let (mut places, mut spells, mut shapes, mut endings) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), [0; 4]);
    for step in steps(4) {
        shapes.insert((step.shape.processes, step.shape.workers));
        spells.extend(step.weather.iter().flat_map(|(_, weather)| &weather.spells).map(|spell| spell.name));
        let kind = match step.ending {
            Ending::Kill { .. } => 0,
            Ending::Failpoint { place, .. } => {
                places.insert(place.split('#').next().unwrap().to_owned());
                1
            }
            Ending::Stop { .. } => 2,
            Ending::Rival { .. } => 3,
        };
        endings[kind] += 1;
    }
    assert_eq!((places.len(), shapes.len()), (2 * (STARTING.len() + COMMITTING.len()) + STEPS.len(), 9));
    assert!(endings.iter().all(|count| *count > 20), "{endings:?}");
    let full: BTreeSet<_> = steps(4).filter_map(|step| step.full_disk).map(|it| it.process).collect();
    assert_eq!(full, BTreeSet::from([None, Some(0), Some(1), Some(2)]));
    assert!(spells.len() >= 14, "{spells:?}");
}

#[test]
fn a_rename_is_held_only_where_names_are_looked_at_again() {
    let mut seen = BTreeSet::new();
    for seed in 0..6 {
        let held =
            |step: Step| step.weather.iter().any(|(_, weather)| weather.words().contains(".rename held"));
        let again = doubts(seed).names_are_looked_at_again;
        assert_eq!(steps(seed).any(held), again, "seed {seed}");
        seen.insert(again);
    }
    assert_eq!(seen.len(), 2);
}
