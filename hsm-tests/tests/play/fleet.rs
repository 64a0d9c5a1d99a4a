//! Many repositories in one ceremony: planned, signed and published, with the times.

use std::time::Instant;

use hsm_tests::cli::can_be_offline;
use hsm_tests::home::Home;
use hsm_tests::soak;

use crate::keyholder::Keyholder;
use crate::stage::Stage;

/// What one step takes.
fn timed<T>(what: &str, many: usize, step: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let done = step();
    soak::say(&format!("MEASURED: {what}, {many} repositories: {:.1} s", since.elapsed().as_secs_f64()));
    done
}

#[test]
fn a_fleet_is_made_and_rotated_in_one_ceremony_each() {
    if !can_be_offline() {
        return;
    }
    let many = soak::rounds(4, 500);
    let stage = Stage::set();
    let holder = Keyholder::with_softhsm("fleet");
    let spare = Keyholder::with_softhsm("spare");
    let guns: Vec<String> = (0..many).map(|at| format!("localhost:5000/fleet/app{at}")).collect();
    let list = stage.on_stick("list");
    std::fs::write(&list, format!("# the fleet\n\n{}\n", guns.join("\n"))).unwrap();

    let key = timed("certificates", many, || holder.introduces(stage.stick(), &guns));
    let spare_key = spare.introduces(stage.stick(), &guns);
    let create = ["--create", "--add-root", &key, "--list", &list];
    let (plan, words) = timed("plan of new ones", many, || stage.plans("new.plan", &create));
    let transcript = timed("signed", many, || holder.signs(&plan, &words));
    timed("merged and published", many, || stage.publishes(&plan, &[transcript]));

    let (plan, words) = timed("plan of a spare key", many, || {
        stage.plans("spare.plan", &["--add-root", &spare_key, "--list", &list])
    });
    let transcript = timed("signed", many, || holder.signs(&plan, &words));
    let record = timed("merged and published", many, || stage.publishes(&plan, &[transcript]));
    timed("verified", many, || stage.touchmark(&["ceremony", "verify", &record]).ok());

    let mut judge = Home::new();
    judge.use_notary(&stage.notary);
    for gun in [&guns[0], &guns[many - 1]] {
        judge.notary(&stage.notary).args(["list", gun]).ok();
        let shown = judge.touchmark().args(["inspect", gun, "--format", "json"]).ok().json();
        let root = &shown["roles"][0];
        assert_eq!((&root["role"], &root["version"]), (&"root".into(), &2.into()), "{shown}");
        assert_eq!(root["keys"].as_array().map(Vec::len), Some(2), "{shown}");
    }
}
