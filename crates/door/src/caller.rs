use std::fmt;

use synod_client::net::{Identity, Role, Who};

use crate::fault::Fault;

/// Who asks: by the certificate of its connection; or by nothing, over loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    name: String,
    role: Role,
}

/// What a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Read,
    Write,
    Admin,
}

impl Needs {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Needs::Read => "read",
            Needs::Write => "write",
            Needs::Admin => "admin",
        }
    }
}

impl Caller {
    /// All who come without a certificate are one caller, whose name no certificate can have.
    pub(crate) fn plain(role: Role) -> Caller {
        Caller { name: "(loopback)".to_owned(), role }
    }

    /// Whom a certificate names; a node does not ask, it is asked.
    pub(crate) fn certified(identity: Identity) -> Result<Caller, Fault> {
        match identity.who {
            Who::Client { name, role } => Ok(Caller { name: name.to_string(), role }),
            Who::Node(_) => Err(Fault::forbidden("a node's certificate is none of a client")),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its role covers what is asked.
    pub(crate) fn may(&self, needs: Needs) -> Result<(), Fault> {
        let covers = match (self.role, needs) {
            (Role::Admin, _) => true,
            (Role::Write, needs) => needs != Needs::Admin,
            (Role::Read, needs) => needs == Needs::Read,
            // Its place is beside the ladder: it asks as the participant that it is.
            (Role::Participant, _) => false,
        };
        if covers {
            return Ok(());
        }
        let needs = needs.word();
        Err(Fault::forbidden(format!("{self} may not do this; {needs} may")))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with role {}", self.name, self.role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_covers_what_is_below_it_and_nothing_else() {
        use Needs::{Admin, Read, Write};
        for (role, covered) in [
            (Role::Read, &[Read][..]),
            (Role::Write, &[Read, Write]),
            (Role::Admin, &[Read, Write, Admin]),
            (Role::Participant, &[]),
        ] {
            for needs in [Read, Write, Admin] {
                let may = Caller::plain(role).may(needs).is_ok();
                assert_eq!(may, covered.contains(&needs), "{role} {needs:?}");
            }
        }
    }

    /// Else a certificate could be issued to which the keys of another are open.
    #[test]
    fn the_name_of_callers_without_a_certificate_is_no_name_of_one() {
        let plain = Caller::plain(Role::Read);
        assert!(synod_client::net::Name::new(plain.name()).is_err());
    }
}
