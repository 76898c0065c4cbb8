//! How fresh a read of `synod kv` is, and how that is told.

use std::time::Duration;

use synod_client::{Error, ReadBuilder, Stale, machine::Revision};

use crate::cli::FreshArgs;

/// How old what was read may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Age {
    /// It was read as it was, or as it was at a revision that was asked for.
    #[default]
    Asked,
    /// So old at most.
    AtMost(Duration),
    /// The node that answered has found no leader since it started.
    Unknown,
}

/// Reads as the flags say.
pub(super) async fn read<T: Send + 'static>(
    read: ReadBuilder<T>,
    fresh: FreshArgs,
) -> Result<(T, Age), Error> {
    let read = match fresh {
        FreshArgs { stale: true, .. } => {
            let Stale { value, age } = read.stale().await?;
            return Ok((value, age.map_or(Age::Unknown, Age::AtMost)));
        }
        FreshArgs { nearby: true, .. } => read.nearby(),
        FreshArgs { at_least: Some(revision), .. } => read.at_least(Revision::new(revision)),
        FreshArgs { .. } => read,
    };
    Ok((read.await?, Age::Asked))
}

impl Age {
    /// Of two reads that are shown as one.
    pub(super) fn or_older(self, other: Age) -> Age {
        match (self, other) {
            (Age::Unknown, _) | (_, Age::Unknown) => Age::Unknown,
            (Age::AtMost(one), Age::AtMost(two)) => Age::AtMost(one.max(two)),
            (age @ Age::AtMost(_), Age::Asked) | (Age::Asked, age) => age,
        }
    }

    /// Says it beside what was read, where there is something to say.
    pub(super) fn tell(self) {
        match self {
            Age::Asked => {}
            Age::AtMost(age) => anstream::eprintln!("as it was {} ms ago", age.as_millis()),
            Age::Unknown => {
                let why = "the node has found no leader since it started";
                anstream::eprintln!("of unknown age: {why}");
            }
        }
    }

    /// For documents: milliseconds, or nothing where no age was asked for or none is known.
    pub(super) fn ms(self) -> Option<u64> {
        match self {
            Age::AtMost(age) => Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            Age::Asked | Age::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown as one is as old as its oldest part, and of unknown age if a part is.
    #[test]
    fn the_age_of_many_pages_is_that_of_the_oldest() {
        let ms = |ms| Age::AtMost(Duration::from_millis(ms));
        assert_eq!(Age::Asked.or_older(ms(3)), ms(3));
        assert_eq!(ms(3).or_older(ms(5)).or_older(ms(4)), ms(5));
        assert_eq!(ms(3).or_older(Age::Unknown).or_older(ms(9)), Age::Unknown);
        assert_eq!((ms(7).ms(), Age::Unknown.ms(), Age::Asked.ms()), (Some(7), None, None));
    }
}
