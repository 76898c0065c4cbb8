//! What a slot carries: a version byte, then a [`Batch`] in postcard.

use bytes::{BufMut, Bytes, BytesMut};
use synod_machine::{Batch, Request, Timestamp};
use synod_paxos::Decree;

/// The first byte of every batch. It goes up when the meaning of the rest changes.
pub const BATCH_VERSION: u8 = 2;

/// Bytes of the version, the stamp and the count of requests, at most.
const HEADER_BYTES_MAX: usize = 1 + 10 + 10;

/// Why a decree's bytes are no batch. Honest nodes propose none such; should one be chosen all the
/// same, every node skips it alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    Empty,
    Version(u8),
    Encoding,
    Trailing,
}

/// A request as it will stand in a batch.
pub(crate) fn encode(request: &Request) -> Bytes {
    let bytes = postcard::to_allocvec(request);
    bytes.expect("postcard refuses only sequences of unknown length, and a request has none").into()
}

/// The decree of these requests, in this order.
pub(crate) fn decree<'a>(
    stamp: Timestamp,
    requests: impl ExactSizeIterator<Item = &'a Bytes> + Clone,
) -> Decree {
    let header = postcard::to_allocvec(&(stamp, requests.len()));
    let header = header
        .expect("postcard refuses only sequences of unknown length, and two numbers are none");
    let bytes_count: usize = requests.clone().map(Bytes::len).sum();
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES_MAX + bytes_count);
    bytes.put_u8(BATCH_VERSION);
    bytes.put_slice(&header);
    for request in requests {
        bytes.put_slice(request);
    }
    Decree::Value(bytes.freeze())
}

/// The batch that a value carries.
pub(crate) fn decode(value: &[u8]) -> Result<Batch, Malformed> {
    let (version, rest) = value.split_first().ok_or(Malformed::Empty)?;
    if *version != BATCH_VERSION {
        return Err(Malformed::Version(*version));
    }
    match postcard::take_from_bytes(rest) {
        Ok((batch, [])) => Ok(batch),
        Ok((_, _)) => Err(Malformed::Trailing),
        Err(_) => Err(Malformed::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use synod_machine::{Command, RequestId, Seq, SessionId};

    use super::*;

    fn put(seq: u64, key: &'static str) -> Request {
        let id = RequestId { session: SessionId::new(7), seq: Seq::new(seq) };
        let command = Command::Put { key: key.into(), value: "v".into() };
        Request { id: Some(id), acked: Seq::new(1), command }
    }

    fn bytes_of(decree: &Decree) -> Bytes {
        match decree {
            Decree::Value(bytes) => bytes.clone(),
            Decree::Noop => panic!("a batch is a value"),
        }
    }

    /// The format is fixed: version, stamp, count, then each request as postcard has it.
    #[test]
    fn a_batch_has_golden_bytes() {
        let encoded = [encode(&put(1, "a"))];
        let bytes = bytes_of(&decree(Timestamp(300), encoded.iter()));
        let golden = [2, 0xAC, 0x02, 1, 1, 7, 1, 1, 2, 1, b'a', 1, b'v'];
        assert_eq!(bytes.as_ref(), golden);
    }

    /// Requests are encoded one by one as they arrive; put together they are a batch.
    #[test]
    fn requests_encoded_one_by_one_make_the_batch_that_they_are() {
        let requests = vec![put(1, "a"), put(2, "b"), put(3, "c")];
        let encoded: Vec<Bytes> = requests.iter().map(encode).collect();
        let bytes = bytes_of(&decree(Timestamp(9), encoded.iter()));
        assert_eq!(decode(&bytes), Ok(Batch { stamp: Timestamp(9), requests }));
    }

    /// A truncated batch is refused at every length, and so is one that is followed by something.
    #[test]
    fn a_truncated_or_lengthened_batch_is_refused() {
        let encoded = [encode(&put(1, "a"))];
        let bytes = bytes_of(&decree(Timestamp(300), encoded.iter()));
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "accepted when cut at {len}");
        }
        let longer = [bytes.as_ref(), &[0]].concat();
        assert_eq!(decode(&longer), Err(Malformed::Trailing));
        let mut newer = bytes.to_vec();
        newer[0] = BATCH_VERSION + 1;
        assert_eq!(decode(&newer), Err(Malformed::Version(BATCH_VERSION + 1)));
    }

    proptest! {
        /// Whatever the bytes are, decoding ends in a batch or a reason.
        #[test]
        fn decoding_is_total(mut value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&value);
            if let Some(first) = value.first_mut() {
                *first = BATCH_VERSION;
            }
            let _ = decode(&value);
        }
    }
}
