//! A second opinion about JSON, by serde_json: every name in an object is another one.
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// When two names of one object are too much alike.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    Differ,
    /// As Go looks at the fields of its structs. Names in maps are what people call things, and may differ in case.
    DifferInMoreThanCase,
}

/// Fields whose values are maps.
const MAPS: [&str; 3] = ["targets", "keys", "meta"];

pub(crate) fn check(text: &[u8], names: Names) {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let checked = Check { names, is_map: false }.deserialize(&mut reader);
    checked.and_then(|()| reader.end()).expect("JSON with each name once");
}

#[derive(Clone, Copy)]
struct Check {
    names: Names,
    is_map: bool,
}

impl Check {
    fn folded(self, name: &str) -> String {
        match self.names {
            Names::DifferInMoreThanCase if !self.is_map => {
                name.to_ascii_lowercase().replace('\u{17f}', "s").replace('\u{212a}', "k")
            }
            _ => name.to_owned(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Check {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        Err(E::custom(format!("{number} is no integer")))
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self { is_map: false, ..self })?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            if !seen.insert(self.folded(&name)) {
                return Err(A::Error::custom(format!("{name:?} stands twice")));
            }
            entries.next_value_seed(Self { is_map: MAPS.contains(&name.as_str()), ..self })?;
        }
        Ok(())
    }
}
