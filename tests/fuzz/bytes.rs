//! What disks and peers hold: numbers, values, keys, rows, commands, logs.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use trilith_domain::codec;
use trilith_domain::expr::{Condition, Projection, Update};
use trilith_domain::keyspace::{Family, Key};
use trilith_domain::machine::{Batch, IntentRow, MachineRow, PoisonRow, PreparedRow, Reply};
use trilith_domain::read::{Plan, ReadReply};
use trilith_storage::{Driver, Files, LogOptions, MemFiles, RaftLog};
use trilith_values::codec::{
    ItemReader, decode_item, decode_number, decode_value, encode_item, encode_number, encode_value,
    skip_value,
};
use trilith_values::key::{decode_ordered, encode_ordered};
use trilith_values::{Item, Number};

/// The text of a number: what is taken prints as a number that is the same, and sums stay in range or say so.
pub fn number(data: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(data) else { return String::new() };
    let (one, other) = text.split_once(' ').unwrap_or((text, "1"));
    let one = match Number::parse(one) {
        Ok(one) => one,
        Err(error) => return format!("{error:?}"),
    };
    let printed = one.to_string();
    assert_eq!(Number::parse(&printed), Ok(one), "{printed}");
    let mut bytes = Vec::new();
    encode_number(&mut bytes, &one);
    assert_eq!(decode_number(&mut bytes.as_slice()), Ok(one));
    let other = match Number::parse(other) {
        Ok(other) => other,
        Err(error) => return format!("one, {error:?}"),
    };
    assert_eq!(one.checked_add(&other), other.checked_add(&one));
    assert_eq!(one == other, one.cmp(&other).is_eq());
    match (one.checked_add(&other), other.checked_sub(&one)) {
        (Ok(sum), Ok(difference)) => {
            let zero = Number::from_i64(0);
            assert!(sum >= one || other < zero, "{one} + {other} = {sum}");
            assert_eq!(difference == zero, one == other);
            format!("{:?} digits", sum.to_string().len())
        }
        (sum, difference) => format!("{:?} {:?}", sum.err(), difference.err()),
    }
}

/// Items in their compact form, whole and attribute by attribute.
pub fn value(data: &[u8]) -> String {
    let mut skipped = data;
    let skip = skip_value(&mut skipped).map(<[u8]>::len);
    let mut read = data;
    let value = decode_value(&mut read);
    if let Ok(value) = &value {
        assert_eq!(skip, Ok(data.len() - read.len()), "skipping and reading disagree");
        let mut bytes = Vec::new();
        encode_value(&mut bytes, value);
        assert_eq!(decode_value(&mut bytes.as_slice()).as_ref(), Ok(value));
    }
    let mut read = data;
    let whole = decode_item(&mut read);
    if let Ok(reader) = ItemReader::new(&mut { data }) {
        for name in ["", "a", "pk"] {
            if let (Ok(item), Ok(found)) = (&whole, reader.find(name)) {
                assert_eq!(item.get(name), found.as_ref());
            }
        }
    }
    if let Ok(item) = &whole {
        let mut bytes = Vec::new();
        encode_item(&mut bytes, item);
        assert_eq!(decode_item(&mut bytes.as_slice()).as_ref(), Ok(item));
    }
    format!("{:?} {:?}", value.err(), whole.err())
}

/// Ordered keys, and whole row keys of every family.
pub fn key(data: &[u8]) -> String {
    let mut rest = data;
    let key = decode_ordered(&mut rest);
    if let Ok(key) = &key {
        let mut bytes = Vec::new();
        encode_ordered(key, &mut bytes);
        assert_eq!(bytes, data[..data.len() - rest.len()], "two encodings of one key");
    }
    let mut said = format!("{:?}", key.err());
    for family in Family::ALL {
        match Key::decode(family, data) {
            Ok(key) => assert_eq!(&key.encode()[..], data, "two encodings of one row key"),
            Err(error) => said += &format!(" {error:?}"),
        }
    }
    said
}

/// Rows, their envelope included: as they are, and with an envelope made for them.
pub fn row(data: &[u8]) -> String {
    let opened = codec::open(data).err();
    let sealed = codec::seal(data);
    assert_eq!(codec::open(&sealed), Ok(data));
    format!(
        "{opened:?} {:?} {:?} {:?} {:?}",
        codec::open_row::<MachineRow>(&sealed).err(),
        codec::open_row::<PoisonRow>(&sealed).err(),
        codec::open_row::<PreparedRow>(&sealed).err(),
        codec::open_row::<IntentRow>(&sealed).err(),
    )
}

/// Reads a message; what was read has no other bytes.
fn message<T: BorshDeserialize + BorshSerialize>(data: &[u8]) -> Result<T, String> {
    let message = T::try_from_slice(data).map_err(|error| error.to_string())?;
    let bytes = borsh::to_vec(&message).expect("memory takes all");
    assert_eq!(
        T::try_from_slice(&bytes).map(|_| ()).map_err(|error| error.to_string()),
        Ok(()),
        "it is read again"
    );
    Ok(message)
}

/// What the log and the stream between nodes carry, and expressions in it, which run on any item.
pub fn command(data: &[u8]) -> String {
    let item = Item::new();
    let condition = message::<Condition>(data).map(|one| one.holds_for(Some(&item)));
    let projection = message::<Projection>(data).map(|one| drop(one.project(&item)));
    let update = message::<Update>(data).map(|one| drop(one.apply(&mut Item::new())));
    format!(
        "{:?} {:?} {:?} {:?} {condition:?} {projection:?} {update:?}",
        message::<Batch>(data).err(),
        message::<Reply>(data).err(),
        message::<Plan>(data).err(),
        message::<ReadReply>(data).err(),
    )
}

/// A log whose files hold anything: it is read as far as it is whole, or refused.
pub fn log(data: &[u8]) -> String {
    let files = MemFiles::new();
    let options = LogOptions { segment_bytes: 1024, spares_max: 1, segments_slack: 2, cache_bytes: 400 };
    let open = || RaftLog::open(Arc::new(files.clone()), options, Driver::Manual);
    {
        let log = open().expect("an empty folder");
        let handle = log.open_log(7);
        for (index, part) in data.chunks(100).enumerate() {
            let payload = bytes::Bytes::copy_from_slice(part);
            handle
                .append(vec![trilith_storage::LogEntry { index: index as u64 + 1, payload }], Box::new(drop));
        }
        log.drive();
    }
    // Some bits of what was written are turned, where the input says.
    let names = files.list().expect("memory");
    for (i, pair) in data.chunks(2).take(8).enumerate() {
        let bit = pair.iter().fold(i as u64, |bit, byte| bit << 8 | u64::from(*byte));
        if let Some(name) = names.get(i % names.len().max(1)) {
            files.flip_bit(name, bit % (1024 * 8));
        }
    }
    match open() {
        Ok(log) => {
            let handle = log.open_log(7);
            let read = handle.last_index().map(|last| handle.read(0..last + 1).map(|entries| entries.len()));
            format!("{} {}", log.known().len(), read.is_some_and(|read| read.is_err()))
        }
        Err(error) => format!("{error}"),
    }
}
