//! Everybody who reads: Touchmark, `notary` and each Docker CLI with an Engine, each with a trust directory of its own.

use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};

use super::world::{Repository, World};

enum Program {
    Touchmark,
    Notary,
    Docker(Docker),
}

/// A set of readers who remember what they saw.
pub(crate) struct Readers(Vec<(Program, Home)>);

impl Readers {
    /// Readers who know nothing yet. Without an Engine Docker is left out.
    pub(crate) fn new(world: &World, engine: Option<&Engine>) -> Self {
        let mut programs = vec![Program::Touchmark, Program::Notary];
        if engine.is_some() {
            programs.extend(Docker::all().into_iter().map(Program::Docker));
        }
        let home = |program| {
            let mut home = Home::new();
            home.use_notary(&world.notary);
            if let Some(engine) = engine {
                home.set("DOCKER_HOST", &engine.host());
            }
            (program, home)
        };
        Self(programs.into_iter().map(home).collect())
    }

    /// Each of them believes the tag, and for its own digest.
    #[track_caller]
    pub(crate) fn believe(&self, world: &World, repository: &Repository) {
        let digest = &repository.pushed.digest;
        for (program, home) in &self.0 {
            match program {
                Program::Touchmark => {
                    let verified = home.touchmark().args(["verify", &repository.image()]).ok();
                    assert_eq!(verified.stdout.trim(), format!("{}@{digest}", repository.name));
                }
                Program::Notary => {
                    let lookup = ["lookup", &repository.name, &repository.tag];
                    home.notary(&world.notary).args(lookup).ok().says(&digest["sha256:".len()..]);
                }
                Program::Docker(docker) => {
                    let pulled = home.trusting_docker(docker).args(["pull", &repository.image()]).ok();
                    pulled.says(&format!("Pull (1 of 1): {}@{digest}", repository.image()));
                }
            }
        }
    }
}

/// Readers who know nothing yet believe the tag, and so do those who knew an earlier root.
#[track_caller]
pub(crate) fn everybody(world: &World, engine: Option<&Engine>, old: &[&Readers], repository: &Repository) {
    Readers::new(world, engine).believe(world, repository);
    for readers in old {
        readers.believe(world, repository);
    }
}
