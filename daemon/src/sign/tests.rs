//! The road from end to end: a real store, a real vault, keys of other people and a token made of software.
mod bases;
mod quorum;
mod root;
mod seal;
mod tags;
mod takeover;
mod world;
