use super::*;

fn listed(text: &str, occasion: Occasion) -> Result<Vec<String>, Error> {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("fleet");
    std::fs::write(&path, text).unwrap();
    let read = read(&FleetArgs { images: Vec::new(), list: Some(path) }, occasion)?;
    Ok(read.iter().map(|image| image.gun().to_string()).collect())
}

#[test]
fn a_list_has_one_repository_a_line() {
    let guns = listed("# the shop\n\nalpine\n  localhost:5000/team/app  \n", Occasion::Earnest).unwrap();
    assert_eq!(guns, ["docker.io/library/alpine", "localhost:5000/team/app"]);
}

#[test]
fn every_wrong_line_is_named_with_its_number() {
    let refused = listed("team/app\nteam/UPPER\n#\nteam/app\nteam/b:v1\n", Occasion::Earnest).unwrap_err();
    assert_eq!(refused.reason, Reason::Usage);
    let lines: Vec<&str> = refused.message.lines().collect();
    assert!(lines[0].contains("fleet:2: "), "{lines:?}");
    assert!(lines[1].contains("fleet:4: docker.io/team/app stands ") && lines[1].contains("fleet:1 already"));
    assert!(lines[2].contains("fleet:5: team/b:v1 names one image"), "{lines:?}");
    assert_eq!(lines.len(), 3);
    let many = "team/X\n".repeat(30);
    assert!(listed(&many, Occasion::Earnest).unwrap_err().message.ends_with("\nand 10 more"));
    assert_eq!(listed("# nothing\n", Occasion::Earnest).unwrap_err().reason, Reason::Usage);
}

#[test]
fn a_rehearsal_is_about_made_up_repositories_alone() {
    let guns = listed("localhost:5000/team/app\nrehearsal.invalid/x\n", Occasion::Rehearsal).unwrap();
    assert_eq!(guns, ["rehearsal.invalid/localhost-5000/team/app", "rehearsal.invalid/x"]);
    let none = read(&FleetArgs::default(), Occasion::Rehearsal).unwrap();
    assert_eq!(none.len(), MADE_UP);
    assert!(read(&FleetArgs::default(), Occasion::Earnest).is_err());
    let refused = listed("rehearsal.invalid/x\n", Occasion::Earnest).unwrap_err();
    assert!(refused.message.contains("made up"), "{}", refused.message);
}
