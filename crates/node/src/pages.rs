//! A node's own pages: the driver is asked, and what takes longer than a moment is asked here.

use std::{path::PathBuf, time::Duration};

use synod_machine::door::Said;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    driver::Question,
    health::{Name, Ready},
    metrics::Metrics,
    page::{self, Found, Site},
};

/// The loop answers within this, or it does not tick.
const LOOP_WITHIN: Duration = Duration::from_secs(1);
/// The checks that take a round of the cluster answer within this.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// What the pages need.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) questions: mpsc::Sender<Question>,
    pub(crate) metrics: Metrics,
    pub(crate) data: PathBuf,
}

impl Site for Pages {
    const CHECKS: &'static [&'static str] = &Name::WORDS;

    async fn alive(&self) -> Found {
        self.ask(Question::Alive, LOOP_WITHIN).await.ok_or_else(stands_still)?.check()
    }

    async fn ready(&self, wanted: Vec<&'static str>) -> Result<Vec<(&'static str, Found)>, String> {
        let ready = self.ask(Question::Ready, LOOP_WITHIN).await.ok_or_else(stands_still)?;
        let mut found = Vec::new();
        for name in Name::ALL.into_iter().filter(|name| wanted.contains(&name.as_str())) {
            found.push((name.as_str(), self.check(name, &ready).await));
        }
        Ok(found)
    }

    async fn metrics(&self) -> Result<String, String> {
        self.ask(Question::Measure, LOOP_WITHIN).await.ok_or_else(stands_still)?;
        self.metrics.text().map_err(|error| error.to_string())
    }

    fn refused(&self, reason: &'static str) {
        self.metrics.http_refused(reason);
    }
}

fn stands_still() -> String {
    "the loop does not tick".to_owned()
}

impl Pages {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
        within: Duration,
    ) -> Option<T> {
        let (answer, heard) = oneshot::channel();
        timeout(within, async {
            self.questions.send(question(answer)).await.ok()?;
            heard.await.ok()
        })
        .await
        .ok()
        .flatten()
    }

    async fn check(&self, name: Name, ready: &Ready) -> Found {
        match name {
            Name::Quorum => ready.quorum.clone(),
            Name::LocalRead => ready.local_read.clone(),
            Name::LinearizableRead => self.linearizable_read().await,
            Name::StateHash => ready.state_hash.clone(),
            Name::DiskFree if ready.disk_full => Err("the last write found no room".to_owned()),
            Name::DiskFree => page::disk_free(&self.data),
            Name::Certificate => ready.certificate.clone(),
        }
    }

    /// A read through a barrier on the leader; on others, that a leader is there to redirect to.
    async fn linearizable_read(&self) -> Found {
        match self.ask(Question::Probe, READ_WITHIN).await {
            Some(Said::Answer(_) | Said::NotLeader { leader: Some(_) }) => Ok(()),
            Some(Said::NotLeader { leader: None }) => Err("no leader is known".to_owned()),
            Some(Said::NotApplied(why)) => Err(why.to_string()),
            Some(other) => Err(format!("a read was answered with {other:?}")),
            None => Err(format!("no answer within {READ_WITHIN:?}")),
        }
    }
}
