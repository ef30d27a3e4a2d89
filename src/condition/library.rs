//! The functions that expressions can call: CEL's standard ones, and OpenFGA's `ipaddress` and `in_cidr`.

use std::any::Any;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelString, Kind as CelKind, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

/// The type's name in CEL, as OpenFGA calls it.
const IP_TYPE_NAME: &str = "IPAddress";
static IP_TYPE: Type = Type::simple_type(CelKind::Opaque, IP_TYPE_NAME);

/// What expressions are evaluated in.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

fn environment() -> Env {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    let ip_type = || Type::simple_type(CelKind::Opaque, IP_TYPE_NAME);
    // Neither name is one of the standard library, so both declarations are taken.
    let declared =
        env.add_overload("ipaddress", "ipaddress_string", vec![STRING_TYPE], ip_address).and_then(|()| {
            env.add_member_overload("in_cidr", "ip_in_cidr", ip_type(), vec![STRING_TYPE], in_cidr)
        });
    debug_assert!(declared.is_ok(), "{declared:?}");
    env
}

/// An address as a value. An IPv4 address that is written as an IPv6 one is an IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ip {
    address: IpAddr,
    /// Of an IPv6 address, `eth0` in `fe80::1%eth0`: on another link the same address is another one.
    zone: Option<Box<str>>,
}

impl Ip {
    pub(super) fn parse(text: &str) -> Option<Ip> {
        let (address, zone) = match text.split_once('%') {
            Some((address, zone)) => (IpAddr::V6(address.parse().ok()?), Some(zone)),
            None => (text.parse().ok()?, None),
        };
        if zone == Some("") {
            return None;
        }
        let address = address.to_canonical();
        Some(Ip { address, zone: zone.filter(|_| address.is_ipv6()).map(Into::into) })
    }

    /// One with a zone is in no range: ranges have none.
    fn is_in(&self, cidr: &str) -> Result<bool, String> {
        let wrong = || format!("`{cidr}` is not an address range such as `192.168.0.0/24`");
        let (base, bits) = cidr.split_once('/').ok_or_else(wrong)?;
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let all = if base.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= all).ok_or_else(wrong)?;
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        let rest = all - bits;
        let prefix = |ip| number(ip).checked_shr(rest).unwrap_or(0);
        let is_same_family = base.is_ipv4() == self.address.is_ipv4();
        Ok(is_same_family && self.zone.is_none() && prefix(base) == prefix(self.address))
    }
}

impl Val for Ip {
    fn get_type(&self) -> &Type {
        &IP_TYPE
    }

    fn cel_type() -> &'static Type {
        &IP_TYPE
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Ip>() == Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Ip {}

fn text<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> Option<&'a str> {
    args.get(at)?.downcast_ref::<CelString<'_>>().map(CelString::inner)
}

fn ip_address<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let given = text(&args, 0).unwrap_or_default();
    let wrong = || ExecutionError::function_error("ipaddress", format!("`{given}` is not an IP address"));
    Ok(CowVal::owned(Ip::parse(given).ok_or_else(wrong)?))
}

fn in_cidr<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let ip = args.first().and_then(|ip| ip.downcast_ref::<Ip>());
    let (Some(ip), Some(cidr)) = (ip, text(&args, 1)) else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let is_in = ip.is_in(cidr).map_err(|problem| ExecutionError::function_error("in_cidr", problem))?;
    Ok(CowVal::owned(CelBool::from(is_in)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_ranges() {
        let is_in = |ip: &str, cidr: &str| Ip::parse(ip).unwrap().is_in(cidr);
        assert_eq!(is_in("192.168.0.17", "192.168.0.0/24"), Ok(true));
        assert_eq!(is_in("192.168.1.17", "192.168.0.0/24"), Ok(false));
        assert_eq!(is_in("10.0.0.1", "0.0.0.0/0"), Ok(true));
        assert_eq!(is_in("10.0.0.1", "10.0.0.1/32"), Ok(true));
        assert_eq!(is_in("::1", "::/0"), Ok(true));
        assert_eq!(is_in("2001:db8::1", "2001:db8::/32"), Ok(true));
        assert_eq!(is_in("2001:db9::1", "2001:db8::/32"), Ok(false));
        assert_eq!(is_in("10.0.0.1", "::/0"), Ok(false), "of another family");
        assert_eq!(is_in("::ffff:10.0.0.1", "10.0.0.0/8"), Ok(true), "mapped");
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "x/8", "::/129"] {
            assert!(is_in("10.0.0.1", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_with_a_zone() {
        let ip = |text: &str| Ip::parse(text).unwrap();
        assert_eq!(ip("fe80::1%eth0"), ip("fe80:0::1%eth0"));
        assert_ne!(ip("fe80::1%eth0"), ip("fe80::1%eth1"));
        assert_ne!(ip("fe80::1%eth0"), ip("fe80::1"));
        assert_eq!(ip("fe80::1%eth0").is_in("fe80::/10"), Ok(false));
        assert_eq!(ip("::ffff:10.0.0.1%eth0"), ip("10.0.0.1"), "an IPv4 address has none");
        for wrong in ["fe80::1%", "10.0.0.1%eth0", "%eth0"] {
            assert_eq!(Ip::parse(wrong), None, "{wrong}");
        }
    }
}
