//! Transfers between accounts.

use std::collections::BTreeMap;

use super::append::Fate;

/// A transaction that moves money.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// What became of it.
    pub fate: Fate,
    /// How much each account gains.
    pub moves: BTreeMap<String, i64>,
}

/// Why balances cannot be the work of transfers that are atomic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Money came or went.
    #[error("{found} stands in all accounts; it was {expected}")]
    Sum {
        /// At the end.
        found: i64,
        /// At first.
        expected: i64,
    },
    /// An account holds something else than what the committed transfers make, with any of the
    /// unknown.
    #[error("{account} holds {found}; committed transfers make it {expected}")]
    Account {
        /// Which.
        account: String,
        /// What it holds.
        found: i64,
        /// What it would hold without any of the unknown.
        expected: i64,
    },
}

/// Unknown transfers of one account beyond which nobody asks which of them add up.
const UNKNOWN_MAX: usize = 20;

/// Whether the balances at the end are those of the beginning with every committed transfer and
/// some of the unknown ones. Accounts with very many unknown transfers count in the sum only.
pub fn adds_up(
    opening: &BTreeMap<String, i64>,
    transfers: &[Transfer],
    closing: &BTreeMap<String, i64>,
) -> Result<(), Contradiction> {
    let (found, expected) = (closing.values().sum(), opening.values().sum());
    if found != expected {
        return Err(Contradiction::Sum { found, expected });
    }
    for (account, opened) in opening {
        let gains = |known: bool| {
            let transfers = transfers.iter().filter(move |transfer| match transfer.fate {
                Fate::Committed(_) => known,
                Fate::Unknown => !known,
                Fate::Aborted => false,
            });
            transfers.filter_map(|transfer| transfer.moves.get(account).copied())
        };
        let expected = opened + gains(true).sum::<i64>();
        let unknown: Vec<i64> = gains(false).collect();
        let found = closing.get(account).copied().unwrap_or_default();
        if unknown.len() <= UNKNOWN_MAX && !some_make(&unknown, found - expected) {
            return Err(Contradiction::Account { account: account.clone(), found, expected });
        }
    }
    Ok(())
}

/// Whether some of the numbers make the sum.
fn some_make(numbers: &[i64], sum: i64) -> bool {
    match numbers {
        [] => sum == 0,
        [first, rest @ ..] => some_make(rest, sum) || some_make(rest, sum - first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(balances: [i64; 2]) -> BTreeMap<String, i64> {
        ["a", "b"].map(str::to_owned).into_iter().zip(balances).collect()
    }

    fn transfer(amount: i64, fate: Fate) -> Transfer {
        Transfer { fate, moves: accounts([-amount, amount]) }
    }

    #[test]
    fn committed_transfers_and_some_of_the_unknown_add_up() {
        let transfers = [
            transfer(5, Fate::Committed(1)),
            transfer(7, Fate::Aborted),
            transfer(11, Fate::Unknown),
        ];
        let closing = |balances| adds_up(&accounts([100, 100]), &transfers, &accounts(balances));
        closing([95, 105]).unwrap();
        closing([84, 116]).unwrap();
        assert!(matches!(closing([95, 106]), Err(Contradiction::Sum { found: 201, .. })));
        assert!(matches!(closing([100, 100]), Err(Contradiction::Account { .. })), "lost");
        assert!(matches!(closing([88, 112]), Err(Contradiction::Account { .. })), "aborted");
    }
}
