use super::*;

#[test]
fn what_is_kept_gets_behind_the_digest_of_a_plan() {
    let content = include_bytes!("../../corpus/ceremonies/plan-content");
    let file = file_of(std::str::from_utf8(&content[1..]).unwrap());
    assert!(plan(file.as_bytes()).is_some(), "{:?}", Plan::parse(file.as_bytes()));
    assert!(plan(&include_bytes!("../../corpus/ceremonies/plan")[1..]).is_some());
}
