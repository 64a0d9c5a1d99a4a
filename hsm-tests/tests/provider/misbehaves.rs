//! Modules that are none, that are not to be trusted, or that do to their process what they like: the daemon's side
//! gets a right answer, and keeps its hands free.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hsm_tests::cli::{Cli, shipped, tool};
use hsm_tests::place::Place;
use hsm_tests::softhsm::SoftHsm;
use touchmarkd::token::{HelperProgram, Limits, Presence, TokenConfig, TokenError, TokenHandle, TokenKind};

use crate::bench::{LABEL, locked, until};
use crate::shimmed::Shimmed;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a token says whose module is this file.
async fn with_module(module: &Path) -> String {
    let hsm = SoftHsm::with_token(LABEL);
    let kind = TokenKind::Pkcs11 { module: module.to_owned(), label: LABEL.to_owned(), serial: None };
    let config = TokenConfig { name: "odd".to_owned(), kind, env: hsm.environment() };
    let helper = HelperProgram::touchmarkd(shipped("touchmarkd"));
    let token = TokenHandle::start(config, locked(), helper, Limits::default());
    let refused = token.keys().await.unwrap_err();
    let TokenError::ModuleUnusable { module: named, why } = refused else { panic!("{refused:?}") };
    assert_eq!(PathBuf::from(named), module);
    let failed = until(&token, PATIENCE, |state| matches!(state.presence, Presence::Failed(_))).await;
    assert_eq!(failed.info, None);
    why
}

#[tokio::test]
async fn what_is_no_module_says_why_it_is_none() {
    let place = Place::new();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(place.join(name), bytes).unwrap();
        place.join(name)
    };
    let elf = std::fs::read(SoftHsm::module()).unwrap();
    // e_machine (System V ABI, figure 4-3) of a MIPS.
    let mut foreign = elf.clone();
    foreign[18] = 8;
    for (module, words) in [
        (place.join("missing.so"), "No such file"),
        (place.folder("folder.so"), "not a file"),
        (file("text.so", &[b'#'; 100]), "invalid ELF header"),
        (file("cut.so", &elf[..200]), "cannot read file data"),
        (file("mips.so", &foreign), "cannot open shared object file"),
        (PathBuf::from("/lib/x86_64-linux-gnu/libz.so.1"), "C_GetFunctionList"),
    ] {
        let why = with_module(&module).await;
        assert!(why.contains(words), "{}: {why}", module.display());
    }
}

#[tokio::test]
async fn a_module_that_everybody_can_change_is_not_loaded() {
    let place = Place::new();
    let module = place.join("module.so");
    std::fs::copy(SoftHsm::module(), &module).unwrap();
    Cli::new(tool("chmod")).arg("o+w").arg(&module).ok();
    let why = with_module(&module).await;
    assert!(why.contains("everybody can write to"), "{why}");
}

/// Whatever else it does, it signs.
#[tokio::test]
async fn what_a_module_does_beside_its_work_disturbs_no_answer() {
    let at = Shimmed::logged_in().await;
    for deed in ["print", "flood", "thread", "elsewhere"] {
        at.order(&format!("C_SignInit always {deed}"));
        for _ in 0..3 {
            let signature = at.sign().await.unwrap_or_else(|error| panic!("{deed}: {error}"));
            assert!(at.verifies(&signature), "{deed}");
        }
        at.order("");
        let helper = at.token.helper_pid().expect("a helper");
        let since = Instant::now();
        at.token.stop_helper().await;
        assert!(since.elapsed() < Duration::from_secs(10), "{deed}: the helper ended late");
        assert!(!std::fs::exists(format!("/proc/{helper}")).unwrap(), "{deed}: the helper is still there");
        at.login().await.unwrap();
    }
}

#[tokio::test]
async fn a_module_that_ends_the_process_is_an_answer_at_once() {
    let at = Shimmed::logged_in().await;
    for (deed, how) in [("exit", "exit status: 0"), ("abort", "SIGABRT"), ("segv", "SIGSEGV"), ("close", "")]
    {
        at.order(&format!("C_SignInit always {deed}"));
        let refused = at.sign().await;
        assert!(
            matches!(&refused, Err(TokenError::HelperEnded { how: said }) if said.contains(how)),
            "{deed}: {refused:?}"
        );
        at.order("");
        until(&at.token, PATIENCE, |state| state.presence == Presence::Present).await;
        at.login().await.unwrap();
        assert!(at.verifies(&at.sign().await.unwrap()), "{deed}");
    }
}

/// A process that the module left behind holds the helper's pipes open; nobody waits for it, and it goes too.
#[tokio::test]
async fn what_a_module_starts_ends_with_its_helper() {
    let at = Shimmed::logged_in().await;
    let helper = at.token.helper_pid().expect("a helper");
    at.order("C_SignInit once fork\nC_Sign always exit");
    let since = Instant::now();
    let refused = at.sign().await;
    assert!(matches!(refused, Err(TokenError::HelperEnded { .. })), "{refused:?}");
    assert!(since.elapsed() < Duration::from_secs(8), "it waited for the pipe: {:?}", since.elapsed());
    at.order("");
    until(&at.token, PATIENCE, |state| state.presence == Presence::Present).await;
    assert_eq!(group(helper), Vec::<u32>::new());
    at.login().await.unwrap();
    assert!(at.verifies(&at.sign().await.unwrap()));
}

/// The processes of a group that have not ended.
fn group(of: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        fields.first().is_some_and(|state| *state != "Z") && fields.get(2) == Some(&of.to_string().as_str())
    })
    .collect()
}

#[tokio::test]
async fn a_module_that_eats_memory_ends_with_its_helper() {
    let at = Shimmed::logged_in().await;
    at.order("C_SignInit always eat");
    let refused = at.sign().await;
    assert!(
        matches!(&refused, Err(TokenError::HelperEnded { how }) if how.contains("SIGABRT")),
        "{refused:?}"
    );
    let score = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_ne!(score.trim(), "1000", "this process is not the kernel's first choice");
    at.order("");
    at.token.refresh().await;
    until(&at.token, PATIENCE, |state| state.presence == Presence::Present).await;
    let helper = at.token.helper_pid().expect("a helper");
    let score = std::fs::read_to_string(format!("/proc/{helper}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "1000", "the helper is");
}
