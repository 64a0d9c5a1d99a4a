//! `touchmarkd`: a thin front of the library. Hardens the process, reads command line and configuration, serves
//! until it is told to stop.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use touchmarkd::app::{App, Kind, Options, StartError};
use touchmarkd::args::{Check, Cli, Command, Run};
use touchmarkd::clock::SystemClock;
use touchmarkd::config::{Config, Surroundings, SystemAccounts};
use touchmarkd::harden::{self, Hardening};
use touchmarkd::listen::{Caps, ListenError, Opening, Place, activated, foresee};
use touchmarkd::token::{HelperProgram, Limits};
use touchmarkd::{check, dev, log, token};

/// The configuration is wrong.
const BAD_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::TokenHelper) {
        return token::helper::main();
    }
    // Before any thread, any secret and any socket.
    let hardening = harden::process();
    match cli.command {
        Command::TokenHelper => ExitCode::FAILURE,
        Command::Check(args) => checked(&args, &hardening),
        Command::Run(args) => match run(&args, hardening) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.say(),
        },
    }
}

/// Why the daemon did not run.
enum Failure {
    Config(String),
    Start(String),
}

impl Failure {
    /// The last words of a process that may not log yet; where nobody can read them, the code says it.
    fn say(self) -> ExitCode {
        let (code, text) = match self {
            Self::Config(text) => (ExitCode::from(BAD_CONFIG), text),
            Self::Start(text) => (ExitCode::FAILURE, text),
        };
        let _unread = writeln!(std::io::stderr(), "touchmarkd: {text}");
        code
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error.to_string())
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        Self::Start(error.to_string())
    }
}

fn checked(args: &Check, hardening: &Hardening) -> ExitCode {
    match Config::load(args.config.as_deref(), &Surroundings::of_process(), &SystemAccounts) {
        Ok(config) => match std::io::stdout().write_all(check::report(&config, hardening).as_bytes()) {
            // A reader that closed the pipe has what it wanted.
            Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
                Failure::Start(format!("cannot write to standard output: {cause}")).say()
            }
            _ => match foresee(config.socket.parent().unwrap_or(Path::new("/")), opening(&config)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => Failure::from(error).say(),
            },
        },
        Err(error) => Failure::Config(error.to_string()).say(),
    }
}

fn opening(config: &Config) -> Opening {
    config.socket_group.as_ref().map_or(Opening::Own, |group| Opening::Group(group.gid))
}

fn run(args: &Run, hardening: Hardening) -> Result<(), Failure> {
    log::start();
    let surroundings = Surroundings::of_process();
    let (config, kind) = match &args.dev {
        Some(folder) => {
            let config =
                dev::prepare(folder, surroundings.uid).map_err(|error| Failure::Start(error.to_string()))?;
            (config, Kind::Dev)
        }
        None => {
            let loaded = Config::load(args.config.as_deref(), &surroundings, &SystemAccounts);
            (loaded.map_err(|error| Failure::Config(error.to_string()))?, Kind::Real)
        }
    };
    let program = std::env::current_exe()
        .map_err(|error| Failure::Start(format!("the daemon's own program cannot be found: {error}")))?;
    let options = Options {
        memory: args.memory,
        kind,
        hardening,
        surroundings,
        clock: Arc::new(SystemClock),
        accounts: Arc::new(SystemAccounts),
        helper: HelperProgram::touchmarkd(program),
        limits: Limits::default(),
        caps: Caps::default(),
    };
    // Taken before the runtime starts its threads: it reads the environment.
    let handed = activated().map_err(|error| Failure::Start(format!("the socket from systemd: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Start(format!("no threads: {error}")))?;
    let served = runtime.block_on(serve(config, options, handed));
    // A blocked call into a module or the user database must not keep the process.
    runtime.shutdown_background();
    served
}

async fn serve(
    config: Config,
    options: Options,
    handed: Option<std::os::unix::net::UnixListener>,
) -> Result<(), Failure> {
    let place =
        Place { path: config.socket.clone(), opening: opening(&config), own_uid: options.surroundings.uid };
    let kind = options.kind;
    let socket = |error: std::io::Error| Failure::Start(format!("the socket cannot be served: {error}"));
    // The path is ours before the state is opened: two daemons never meet in one state.
    let bound = if handed.is_none() { Some(place.bind()?) } else { None };
    let listener = match (handed, &bound) {
        (Some(listener), _) => {
            listener.set_nonblocking(true).map_err(socket)?;
            tokio::net::UnixListener::from_std(listener).map_err(socket)?
        }
        (None, Some(bound)) => bound.listener().map_err(socket)?,
        (None, None) => return Ok(()),
    };
    // What systemd opened may have another path than the configuration's.
    let address = listener.local_addr().map_err(socket)?;
    let served = address.as_pathname().unwrap_or(&place.path).to_path_buf();
    let stop = stop_signal().map_err(socket)?;
    let app = App::start(config, options).await?;
    if kind == Kind::Dev {
        let opened = dev::open(&app).await;
        if opened.is_err() {
            app.end().await;
        }
        opened?;
    }
    ready(&served);
    Ok(app.serve(listener, stop).await?)
}

/// Says that the socket serves, in one line for whoever started us and waits; tokens may still be opening.
fn ready(socket: &std::path::Path) {
    let _unread = writeln!(std::io::stdout(), "touchmarkd: ready, socket {}", socket.display());
    tracing::info!(socket = %socket.display(), "ready");
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// Done at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => (),
            _ = int.recv() => (),
        }
        tracing::info!("stopping");
    })
}
