//! Every guard by itself, against every other, and at its edge.

use evenkeel_core::decide::Command;
use evenkeel_core::generation::Verdict;
use evenkeel_core::guard::Guard;
use evenkeel_core::policy::{Mode, RecurringWindow, When, Window};
use evenkeel_core::state::{Approval, Pause, Phase};

use crate::case::*;

/// The one change to a case that makes a guard hold.
type Hold = fn(&mut Case);

/// In the order in which their word counts, each with the one thing that makes it hold.
fn table() -> [(Guard, Hold); 16] {
    [
        (Guard::Phase, |c| c.state.phase = Phase::Seeding),
        (Guard::Mode, |c| c.policy.mode = Mode::Advise),
        (Guard::Pause, |c| {
            c.state.pause = Some(Pause {
                by: "ann".into(),
                why: "upgrade".into(),
                until: None,
            });
        }),
        (Guard::Window, |c| {
            c.state.windows = vec![Window {
                from: NOON.before(MINUTE),
                until: NOON + MINUTE,
                by: "ann".into(),
                why: "upgrade".into(),
            }];
        }),
        (Guard::WarmUp, |c| {
            c.outlooks[0].since = Some(NOON.before(59 * MINUTE));
        }),
        (Guard::SharedFate, |c| {
            c.facts.drifting_elsewhere.insert("pool".into(), 3);
        }),
        (Guard::CloneDrift, |c| {
            c.facts.shared_by_clone = vec!["pool".into()]
        }),
        (Guard::GoodGeneration, |c| {
            c.facts.generations[0].verdict = Verdict::Suspect;
        }),
        (Guard::CloneHealth, |c| {
            c.facts.rehearsal.as_mut().unwrap().result = Err("port 80 is shut".into());
        }),
        (Guard::CloneLag, |c| {
            c.facts.generations[0].at = NOON.before(HOUR);
            c.facts.synced_at = None;
        }),
        (Guard::CoolDown, |c| {
            c.state.failovers.push(NOON.before(MINUTE))
        }),
        (Guard::RateLimit, |c| {
            for hours in [3, 2, 1] {
                let at = NOON.before(hours * HOUR);
                c.state.failovers.insert(0, at);
            }
            c.state.failovers.sort();
        }),
        (Guard::Redirector, |c| c.facts.has_redirector = false),
        (Guard::Lease, |c| c.facts.may_lease = false),
        (Guard::Timing, |c| c.policy.when = When::LatestSafe),
        (Guard::Approval, |c| c.policy.approval_required = true),
    ]
}

#[test]
fn without_a_guard_that_holds_it_fails_over() {
    assert_fails_over(&Case::failing_over());
}

#[test]
fn each_guard_holds_a_failover_back_by_itself() {
    for (guard, hold) in table() {
        let decision = Case::failing_over().with(hold).assess();
        assert_eq!(holding(&decision), Some(guard));
        assert_eq!(plan(&decision), None, "{guard}");
        let holds = decision.explanation.guards.iter().filter(|c| c.holds);
        let holds: Vec<Guard> = holds.map(|c| c.guard).collect();
        assert_eq!(holds, [guard]);
    }
}

#[test]
fn every_guard_is_asked_every_time_and_says_why() {
    let order: Vec<Guard> = table().map(|(guard, _)| guard).to_vec();
    for (guard, hold) in table() {
        let decision = Case::failing_over().with(hold).assess();
        let asked: Vec<Guard> = decision
            .explanation
            .guards
            .iter()
            .map(|c| c.guard)
            .collect();
        assert_eq!(asked, order, "{guard}");
        assert!(
            decision
                .explanation
                .guards
                .iter()
                .all(|c| !c.sentence.is_empty())
        );
    }
}

#[test]
fn of_two_guards_the_earlier_speaks() {
    let table = table();
    for (i, (first, hold_first)) in table.iter().enumerate() {
        for (second, hold_second) in &table[i + 1..] {
            let case = Case::failing_over().with(hold_second).with(hold_first);
            assert_eq!(holding(&case.assess()), Some(*first), "over {second}");
        }
    }
}

#[test]
fn guards_say_what_a_person_needs_to_know() {
    let check = |hold: fn(&mut Case), sentence: &str| {
        let decision = Case::failing_over().with(hold).assess();
        let said = decision.explanation.reason.sentence();
        assert!(said.contains(sentence), "{said}");
    };
    check(
        |c| c.facts.drifting_elsewhere = [("pool".into(), 4)].into(),
        "shared fate: 4 other resources drift in the same property",
    );
    check(
        |c| c.state.failovers = vec![NOON.before(MINUTE)],
        "cool-down: the last failover was 60 s ago, cool-down is 10 min",
    );
    check(
        |c| c.policy.when = When::LatestSafe,
        "timing: 10 min are left, an activation takes 10 s x 3",
    );
    check(
        |c| c.policy.approval_required = true,
        "approval: a person must approve (evenkeel approve)",
    );
}

#[test]
fn observe_and_advise_never_act() {
    for mode in [Mode::Observe, Mode::Advise] {
        let decision = Case::failing_over().with(|c| c.policy.mode = mode).assess();
        assert_eq!(holding(&decision), Some(Guard::Mode));
    }
}

#[test]
fn a_pause_ends_by_itself_at_its_instant() {
    let paused_until = |until| {
        Case::failing_over().with(|c| {
            c.state.pause = Some(Pause {
                by: "ann".into(),
                why: "upgrade".into(),
                until: Some(until),
            });
        })
    };
    let held = paused_until(NOON + SECOND).assess();
    assert_eq!(holding(&held), Some(Guard::Pause));
    let over = paused_until(NOON).assess();
    assert_eq!(over.state.pause, None);
    assert!(plan(&over).is_some());
}

#[test]
fn a_window_holds_from_its_first_instant_to_before_its_last() {
    let held = |from, until| {
        let window = Window {
            from,
            until,
            by: "ann".into(),
            why: String::new(),
        };
        let case = Case::failing_over().with(|c| c.state.windows = vec![window]);
        let decision = case.assess();
        (
            holding(&decision) == Some(Guard::Window),
            decision.state.windows.len(),
        )
    };
    assert_eq!(held(NOON, NOON + SECOND), (true, 1));
    assert_eq!(held(NOON + SECOND, NOON + MINUTE), (false, 1), "to come");
    assert_eq!(
        held(NOON.before(MINUTE), NOON),
        (false, 0),
        "over, forgotten"
    );
}

#[test]
fn a_recurring_window_holds_on_its_days() {
    let held = |weekdays: Vec<u8>| {
        let window = RecurringWindow {
            weekdays,
            start: 11 * HOUR,
            length: 2 * HOUR,
        };
        let case = Case::failing_over().with(|c| c.policy.windows = vec![window]);
        holding(&case.assess()) == Some(Guard::Window)
    };
    assert!(held(vec![]), "every day");
    assert!(held(vec![0]), "Monday");
    assert!(!held(vec![1, 2, 3, 4, 5, 6]));
}

#[test]
fn the_cool_down_ends_on_time() {
    let held = |ago| {
        let case = Case::failing_over().with(|c| c.state.failovers = vec![NOON.before(ago)]);
        holding(&case.assess()) == Some(Guard::CoolDown)
    };
    assert!(held(10 * MINUTE - SECOND));
    assert!(!held(10 * MINUTE));
}

#[test]
fn old_failovers_do_not_count_against_the_rate() {
    let held = |hours: [u32; 3]| {
        let case = Case::failing_over()
            .with(|c| c.state.failovers = hours.map(|h| NOON.before(h * HOUR)).to_vec());
        holding(&case.assess()) == Some(Guard::RateLimit)
    };
    assert!(held([23, 2, 1]));
    assert!(!held([24, 2, 1]));
}

#[test]
fn shared_fate_needs_the_same_property_on_enough_others() {
    let held = |path: &str, others, at| {
        let case = Case::failing_over().with(|c| {
            c.facts.drifting_elsewhere.insert(path.into(), others);
            c.policy.shared_fate_at = at;
        });
        holding(&case.assess()) == Some(Guard::SharedFate)
    };
    assert!(held("pool", 3, 3));
    assert!(!held("pool", 2, 3));
    assert!(!held("other", 9, 3));
    assert!(!held("pool", 9, 0), "0 switches it off");
}

#[test]
fn a_rehearsal_counts_only_as_long_as_policy_says() {
    let held = |change: fn(&mut Case)| {
        let decision = Case::failing_over().with(change).assess();
        holding(&decision) == Some(Guard::CloneHealth)
    };
    assert!(
        held(|c| c.policy.rehearsal_max_age = Some(59 * MINUTE)),
        "stale"
    );
    assert!(!held(|c| c.policy.rehearsal_max_age = Some(60 * MINUTE)));
    assert!(held(|c| {
        c.policy.rehearsal_max_age = Some(HOUR);
        c.facts.rehearsal = None;
    }));
    assert!(!held(|c| c.facts.rehearsal = None), "none is asked for");
}

#[test]
fn a_sync_that_found_nothing_changed_keeps_the_newest_generation_current() {
    let held = |change: fn(&mut Case)| {
        let case = Case::failing_over().with(|c| c.facts.generations[0].at = NOON.before(HOUR));
        holding(&case.with(change).assess()) == Some(Guard::CloneLag)
    };
    assert!(!held(|c| c.facts.synced_at = Some(NOON.before(5 * MINUTE))));
    assert!(held(
        |c| c.facts.synced_at = Some(NOON.before(5 * MINUTE + SECOND))
    ));
    assert!(held(|c| {
        // A newer, torn generation: what was synced last is not what would be activated.
        let mut torn = generation(2, SECOND, Verdict::Suspect);
        torn.torn = true;
        c.facts.generations.push(torn);
    }));
    assert!(!held(|c| {
        c.facts.synced_at = None;
        c.facts.capabilities.has_data = false;
    }));
}

#[test]
fn latest_safe_waits_until_the_activation_times_the_factor() {
    let held = |change: fn(&mut Case)| {
        let case = Case::failing_over().with(|c| c.policy.when = When::LatestSafe);
        holding(&case.with(change).assess()) == Some(Guard::Timing)
    };
    assert!(held(|c| c.outlooks[0].breach = predicted(31 * SECOND, 0.97)));
    assert!(!held(
        |c| c.outlooks[0].breach = predicted(30 * SECOND, 0.97)
    ));
    assert!(
        !held(|c| c.facts.rehearsal = None),
        "an unknown activation time is not waited on"
    );
    assert!(!held(|c| {
        c.outlooks[0].breach = evenkeel_core::outlook::Breach::Observed;
    }));
}

#[test]
fn an_approval_is_for_one_failover_and_until_its_instant() {
    let approved_until = |until| {
        Case::failing_over().with(|c| {
            c.policy.approval_required = true;
            c.state.approval = Some(Approval {
                by: "ann".into(),
                until,
            });
        })
    };
    let decision = approved_until(NOON + SECOND).assess();
    assert!(plan(&decision).is_some());
    assert_eq!(decision.state.approval, None, "used up");
    let late = approved_until(NOON).assess();
    assert_eq!(holding(&late), Some(Guard::Approval));
}

#[test]
fn approving_lets_the_held_failover_go() {
    let case = Case::failing_over().with(|c| c.policy.approval_required = true);
    let approved = case.command(&Command::Approve { until: NOON + HOUR });
    assert_fails_over(&case.after(&approved, SECOND));
}
