use super::*;

fn named(text: &str, find: fn(&str) -> Vec<Range<usize>>) -> Vec<String> {
    find(text).into_iter().map(|place| text[place].to_owned()).collect()
}

#[test]
fn a_dockerfile_names_its_bases_but_not_its_stages() {
    let text = "# FROM commented\nFROM --platform=linux/amd64 golang:1.22 AS build\n\tRUN make\n\
                from alpine\nCOPY --from=build /a /a\nCOPY --chown=1 --from=busybox:1 /b /b\n\
                COPY --from=0 /c /c\nFROM scratch\nFROM Build\n";
    assert_eq!(named(text, dockerfile), ["golang:1.22", "alpine", "busybox:1"]);
}

#[test]
fn a_compose_file_names_the_values_of_image_keys() {
    let text = "services:\n  web:\n    image: nginx:1 # the web\n  db:\n    image: \"postgres:16\"\n\
                \x20 x:\n    image: 'redis'\n    # image: no\n    imagex: no\n    build: .\n    image:\n";
    assert_eq!(named(text, compose), ["nginx:1", "postgres:16", "redis"]);
}

#[test]
fn only_the_names_change_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Dockerfile");
    let text = "FROM a:1 AS x\nRUN echo a:1\nCOPY --from=a:1 / /\n";
    fs::write(&path, text).unwrap();
    let pinned = BTreeMap::from([("a:1".to_owned(), "a:1@sha256:0".to_owned())]);
    replace(&path, text, &dockerfile(text), &pinned).unwrap();
    let wanted = "FROM a:1@sha256:0 AS x\nRUN echo a:1\nCOPY --from=a:1@sha256:0 / /\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
}
