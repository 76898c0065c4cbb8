//! Universes that once failed. What a seed makes changes with the simulator, so each row also names
//! the test that tells its story in the code that was wrong, where that is another's.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test, as it should")]

use std::{fs, path::Path};

use synod_sim::{Script, Told, replay};

struct Regression {
    /// Which universe.
    script: &'static str,
    /// What it found.
    found: &'static str,
    /// The commit that mended it.
    mended: &'static str,
    /// A file of the workspace, and the test in it.
    told_by: Option<(&'static str, &'static str)>,
}

const REGRESSIONS: &[Regression] = &[
    Regression {
        script: "171",
        found: "L1: an acceptor that had lost what was chosen kept everybody from proposing it",
        mended: "ddde858",
        told_by: Some((
            "crates/paxos/src/campaign.rs",
            "what_is_lost_where_it_was_known_is_adopted_from_the_others",
        )),
    },
    Regression {
        script: "973",
        found: "a snapshot that did not reach the log moved the log's beginning back",
        mended: "7c16e23",
        told_by: Some((
            "crates/paxos/tests/trimming.rs",
            "a_snapshot_that_does_not_reach_the_log_moves_no_beginning",
        )),
    },
    Regression {
        script: "8",
        found: "another universe in a build with assertions than without: redb filled its pages",
        mended: "d8a6e77",
        told_by: None,
    },
    Regression {
        script: "656",
        found: "L4, wrongly: the second copy of a word came after the calm had begun",
        mended: "2e186f3",
        told_by: None,
    },
    Regression {
        script: "1730",
        found: "I1, wrongly: the fences of one batch were weighed with its requests",
        mended: "the commit that brought the check",
        told_by: Some(("crates/sim/src/checks/budgets.rs", "what_is_beyond_a_budget_is_caught")),
    },
    Regression {
        script: "1739",
        found: "I1, wrongly: the beginning of a reign was weighed with what had gathered by then",
        mended: "the commit that brought this row",
        told_by: Some(("crates/sim/src/checks/budgets.rs", "what_is_beyond_a_budget_is_caught")),
    },
    Regression {
        script: "4742",
        found: "L, wrongly: a participant that was always answered too late asked nothing else",
        mended: "the commit that brought this row",
        told_by: None,
    },
    Regression {
        script: "12836",
        found: "A3, wrongly: a late word came first after a snapshot that had closed a gap",
        mended: "the commit that brought this row",
        told_by: None,
    },
    Regression {
        script: "15715",
        found: "L4, wrongly: a copy of a late word came as much later again, into the calm",
        mended: "the commit that brought this row",
        told_by: Some(("crates/sim/src/network.rs", "the_weather_is_as_announced")),
    },
    Regression {
        script: "38399",
        found: "B6, wrongly: a ghost took a batch in flight for durable of which nothing told",
        mended: "the commit that brought this row",
        told_by: Some(("crates/sim/src/ghost.rs", "what_nothing_tells_stays_in_doubt")),
    },
    Regression {
        script: "72950",
        found: "C1, wrongly: an old snapshot came first after one that had closed a gap",
        mended: "the commit that brought this row",
        told_by: None,
    },
    Regression {
        script: "101749",
        found: "L4, wrongly: a new leader carried on a start of a reign before the last, after it",
        mended: "the commit that brought this row",
        told_by: None,
    },
    Regression {
        script: "143012",
        found: "I1, wrongly: the ends of many leases were weighed with the requests of their batch",
        mended: "the commit that brought this row",
        told_by: Some(("crates/sim/src/checks/budgets.rs", "what_is_beyond_a_budget_is_caught")),
    },
    Regression {
        script: "201357",
        found: "L9, wrongly: whom the incumbent left for was below what it had to have by then",
        mended: "the commit that brought this row",
        told_by: None,
    },
    Regression {
        script: "1000098",
        found: "L: whoever was called to lead woke for ever at the end of its wait for a turn",
        mended: "b17b8be",
        told_by: Some(("crates/paxos/tests/handing.rs", "whoever_is_called_waits_for_no_turn")),
    },
    Regression {
        script: "2000408",
        found: "B6, wrongly: a record was lost whose mark had gone with the power",
        mended: "eb7ce9d",
        told_by: Some((
            "crates/sim/src/drive/decay.rs",
            "the_last_record_of_a_log_is_spared_when_its_mark_is_lost",
        )),
    },
    Regression {
        script: "20",
        found: "C5: a log is trimmed for a snapshot whose name a power cut may take",
        mended: "e7ec9a9",
        told_by: Some((
            "crates/store/tests/store/power.rs",
            "what_a_start_finds_no_power_cut_takes",
        )),
    },
    Regression {
        script: "11141",
        found: "E6: a node that started within its vow to one reign vowed to a lower one",
        mended: "b81e159",
        told_by: Some((
            "crates/paxos/src/vow.rs",
            "whoever_starts_vows_to_nobody_for_as_long_as_a_vow_lasts",
        )),
    },
    Regression {
        script: "129012",
        found: "L2: what decayed at the only node that knew it to be chosen was asked for for ever",
        mended: "49cab93",
        told_by: Some((
            "crates/paxos/tests/trimming.rs",
            "what_is_damaged_is_answered_with_a_snapshot",
        )),
    },
    Regression {
        script: "327764",
        found: "I1, wrongly: who lost its state and knows what is chosen next has no vote there",
        mended: "49cab93",
        told_by: None,
    },
    Regression {
        script: "1001445",
        found: "B8, wrongly: an image of a node that was off had more on it than anybody knew",
        mended: "49cab93",
        told_by: None,
    },
    Regression {
        script: "95338",
        found: "C1: a start tells its log of a snapshot with the first write; it is lost by then",
        mended: "9c476e5",
        told_by: Some((
            "crates/paxos/tests/trimming.rs",
            "a_state_that_is_ahead_of_its_log_is_told_to_the_log",
        )),
    },
];

/// None of them comes back.
#[test]
fn no_regression_comes_back() {
    for Regression { script, found, mended, .. } in REGRESSIONS {
        let script: Script = script.parse().unwrap();
        if let Some(failure) = replay(&script, None, Told::End).failure {
            panic!("{found} (mended in {mended}) once; now\n{failure}");
        }
    }
}

/// The tests that tell their stories are there.
#[test]
fn every_story_is_told_where_the_table_says() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (file, test) in REGRESSIONS.iter().filter_map(|regression| regression.told_by) {
        let text = fs::read_to_string(workspace.join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}()")), "{file} has no test {test}");
    }
}
