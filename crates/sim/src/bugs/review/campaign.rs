//! `paxos/src/campaign.rs`.

use super::{super::row::Bug, lines};

pub(super) const LINES: &[&[Bug]] = &[lines! { "paxos/src/campaign.rs":
    "all that is reported is weighed": "self.weigh(member, *slot, report, acceptor);" =>
        "let _ = (slot, report, acceptor);",
    "pages leave no gap": "page.first <= wanted" => "true",
    "nothing is reported that is too far ahead":
        "page.reports.iter().any(|(slot, _)| far(*slot))" => "{ let _ = far; false }",
    "watermarks of a promise count":
        "self.chosen_upto = self.chosen_upto.max(page.chosen_upto);" => "",
    "what is lost at a member is noted": "page.lost_upto > page.chosen_upto" => "false",
    "held is one's own vote at that ballot": "own.ballot == *ballot" => "true",
    "held and not there is no clean answer":
        "Some(_) | None => {\n                    «evidence.faulty.insert(member);»" => "",
    "an unreadable record is no clean answer":
        "Report::Faulty => {\n                «evidence.faulty.insert(member);»" => "",
    "who knows it chosen has said it":
        "evidence.chosen = Some(decree.clone());" => "let _ = decree;",
    "of several votes the highest is adopted": "ballot > *highest" => "true",
    "only whole promises count": "**progress == Progress::Whole" => "true",
    "chosen elsewhere is not proposed": "self.chosen_upto.max(learner.upto())" => "learner.upto()",
    "reported slots are inherited": "known.max(reported)" => "{ let _ = reported; known }",
    "lost slots are inherited":
        "known.max(reported).max(lost)" => "{ let _ = lost; known.max(reported) }",
    "known decrees are not proposed": "if «learner.knows(slot)» {" => "false",
    "a chosen decree is adopted": "if let Some(chosen) = «&evidence.chosen» {" => "&None::<Decree>",
    "who has lost it gives no clean answer":
        "filter(|member| «!lost(member)»)" => "{ let _ = member; true }",
    "nothing is not what was chosen":
        "None if «self.lost.keys().any(|member| lost(&member))» => None" => "false",
}];
