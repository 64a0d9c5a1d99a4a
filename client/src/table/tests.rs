use super::Table;

#[test]
fn columns_line_up_and_nothing_trails() {
    let mut table = Table::new(&["NAME", "STATE"]);
    assert!(table.is_empty());
    table.row(["a-long-name".into(), "present".into()]);
    table.row(["b".into(), String::new()]);
    assert_eq!(table.to_string(), "NAME         STATE\na-long-name  present\nb            -\n");
}
