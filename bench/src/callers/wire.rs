//! Just enough of protobuf and of jute to ask etcd and ZooKeeper what the load asks.

use bytes::{BufMut, BytesMut};

/// Field `number` of a protobuf message, of the kind that has a length.
pub(super) fn field(number: u8, bytes: &[u8], to: &mut BytesMut) {
    to.put_u8(number << 3 | 2);
    let mut left = bytes.len();
    while left >= 0x80 {
        to.put_u8((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    to.put_u8(left as u8);
    to.put_slice(bytes);
}

/// A message as gRPC carries it: not compressed, its length, and it.
pub(super) fn grpc(message: &[u8]) -> BytesMut {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed
}

/// A buffer or string of jute: its length, and it.
pub(super) fn buffer(bytes: &[u8], to: &mut BytesMut) {
    to.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    to.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths from 128 on take two bytes, the lower seven bits first (protobuf, "Encoding").
    #[test]
    fn a_field_begins_with_its_number_and_length() {
        let mut put = BytesMut::new();
        field(1, b"k", &mut put);
        field(2, &[b'v'; 300], &mut put);
        assert_eq!(put[..7], [0x0a, 1, b'k', 0x12, 0xac, 0x02, b'v']);
        assert_eq!(put.len(), 3 + 3 + 300);
        assert_eq!(grpc(b"ab")[..], [0, 0, 0, 0, 2, b'a', b'b']);
        let mut name = BytesMut::new();
        buffer(b"/a", &mut name);
        assert_eq!(name[..], [0, 0, 0, 2, b'/', b'a']);
    }
}
