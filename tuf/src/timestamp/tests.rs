use super::*;
use crate::canonical::exact;
use crate::testing::days;

#[test]
fn a_timestamp_reads_back() {
    let timestamp =
        Timestamp { expires: days(14), snapshot: FileMeta::of(b"snapshot"), version: Version::FIRST };
    assert_eq!(exact::<Timestamp>(&timestamp.write()), Ok(timestamp));
}
