use super::Secret;

#[test]
fn taking_wipes_the_source() {
    let mut source = *b"123456";
    let secret = Secret::take(&mut source).unwrap();
    assert_eq!(secret.expose(), b"123456");
    assert_eq!(source, [0; 6]);
}

#[test]
fn too_long_a_secret_is_refused_and_still_wiped() {
    let mut source = [7_u8; Secret::MAX + 1];
    assert!(Secret::take(&mut source).is_none());
    assert_eq!(source, [0; Secret::MAX + 1]);
}

#[test]
fn the_longest_secret_fits() {
    let mut source = [7_u8; Secret::MAX];
    assert_eq!(Secret::take(&mut source).unwrap().expose(), [7; Secret::MAX]);
    let read = Secret::read(&mut [9_u8; Secret::MAX].as_slice(), Secret::MAX).unwrap();
    assert_eq!(read.expose(), [9; Secret::MAX]);
}

#[test]
fn reading_more_than_fits_is_refused() {
    let error = Secret::read(&mut [9_u8; 300].as_slice(), 256).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn debug_shows_the_name_only() {
    let secret = Secret::take(&mut b"123456".to_vec()).unwrap();
    assert_eq!(format!("{secret:?}"), "Secret");
}
