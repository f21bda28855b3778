//! Netlink requests spelled out by hand, so that tests of the lowest floor need nothing of the floors above it.
#![allow(clippy::host_endian_bytes)] // Netlink is in the machine's own byte order.

/// One rtnetlink message in the making.
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A message of a type (RTM_*) that asks for an acknowledgement, with further NLM_F_* flags.
    pub fn new(kind: u16, flags: i32) -> Request {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Request { bytes }
    }

    /// `ip link set dev INDEX up` or `down`.
    pub fn set_up(index: i32, up: bool) -> Request {
        let flags = if up { libc::IFF_UP as u32 } else { 0 };
        Request::new(libc::RTM_NEWLINK, 0).interface(index, flags, libc::IFF_UP as u32)
    }

    /// `ip link add NAME type KIND`.
    pub fn new_link(name: &str, kind: &str) -> Request {
        const IFLA_INFO_KIND: u16 = 1;
        let info = Request { bytes: Vec::new() }.attribute(IFLA_INFO_KIND, kind.as_bytes());
        Request::new(libc::RTM_NEWLINK, libc::NLM_F_CREATE | libc::NLM_F_EXCL)
            .interface(0, 0, 0)
            .attribute(libc::IFLA_IFNAME, format!("{name}\0").as_bytes())
            .attribute(libc::IFLA_LINKINFO, &info.bytes)
    }

    /// An attribute with this in number 1, as the payload of another one.
    pub fn entry(info: &[u8]) -> Vec<u8> {
        Request { bytes: Vec::new() }.attribute(1, info).bytes
    }

    /// `struct ifinfomsg`.
    pub fn interface(self, index: i32, flags: u32, change: u32) -> Request {
        self.bytes(&[0; 4])
            .bytes(&index.to_ne_bytes())
            .bytes(&flags.to_ne_bytes())
            .bytes(&change.to_ne_bytes())
    }

    /// Plain bytes of the body.
    pub fn bytes(mut self, bytes: &[u8]) -> Request {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// One attribute, padded to four bytes.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Request {
        self.bytes.extend(((value.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// One attribute of 32 bits.
    pub fn number(self, kind: u16, value: u32) -> Request {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// The bytes to send.
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes
    }
}

/// The errno of an acknowledgement, 0 for success; `None` when the datagram is no NLMSG_ERROR.
pub fn acknowledged(datagram: &[u8]) -> Option<i32> {
    let kind = datagram.get(4..6)?;
    let error = datagram.get(16..20)?;
    let is_error = kind == (libc::NLMSG_ERROR as u16).to_ne_bytes();
    is_error.then(|| -i32::from_ne_bytes(error.try_into().expect("four bytes")))
}
