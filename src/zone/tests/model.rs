//! The tree against the plainest thing that could be one, over small random zones: every name of
//! a small alphabet is asked for in each.

use std::collections::{BTreeMap, BTreeSet};

use crate::zone::rdata::rtype;
use crate::zone::{Name, Node, Record, Tree};

/// Labels from the right, in lower case: their order is the canonical one.
type Path = Vec<Vec<u8>>;

const LABELS: [&[u8]; 6] = [b"a", b"B", b"*", b"_x", b"\0", b"ab"];
const TYPES: [u16; 5] = [rtype::A, rtype::NS, rtype::TXT, rtype::DNAME, rtype::SRV];
const DEPTH: usize = 4;

/// Names that exist, with their records.
#[derive(Default)]
struct Model {
    names: BTreeMap<Path, BTreeMap<u16, Vec<Vec<u8>>>>,
}

impl Model {
    fn of(apex: &Path, records: &[Record]) -> Model {
        let mut model = Model::default();
        model.names.entry(apex.clone()).or_default();
        for record in records {
            let path = path(&record.owner);
            for above in apex.len()..path.len() {
                model.names.entry(path[..above].to_vec()).or_default();
            }
            let here = model.names.entry(path).or_default();
            here.entry(record.rtype)
                .or_default()
                .push(record.rdata.clone());
        }
        model
    }

    fn closest(&self, apex: &Path, wanted: &Path) -> Option<(Path, bool)> {
        (apex.len()..=wanted.len())
            .rev()
            .map(|labels| &wanted[..labels])
            .find(|above| self.names.contains_key(*above))
            .filter(|above| above.starts_with(apex))
            .map(|above| (above.to_vec(), above.len() == wanted.len()))
    }

    fn boundary(&self, apex: &Path, path: &Path) -> Option<Path> {
        (apex.len()..=path.len())
            .map(|labels| path[..labels].to_vec())
            .find(|above| {
                let here = &self.names[above];
                here.contains_key(&rtype::DNAME) || above != apex && here.contains_key(&rtype::NS)
            })
    }
}

fn path(name: &Name) -> Path {
    let mut labels: Path = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
    labels.reverse();
    labels
}

fn path_of(node: &Node<'_>) -> Path {
    path(&Name::from_wire(node.owner()).unwrap())
}

fn name(labels: &[&[u8]], apex: &Name) -> Name {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label);
    }
    wire.extend_from_slice(apex.wire());
    Name::from_wire(&wire).unwrap()
}

/// Every name of the alphabet down to some depth below the apex.
fn all_names(apex: &Name) -> Vec<Name> {
    let mut all = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..DEPTH {
        let until = all.len();
        for at in from..until {
            for label in LABELS {
                let mut longer: Vec<&[u8]> = vec![label];
                longer.extend(&all[at]);
                all.push(longer);
            }
        }
        from = until;
    }
    all.iter().map(|labels| name(labels, apex)).collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    fn records(&mut self, apex: &Name) -> Vec<Record> {
        let mut seen = BTreeSet::new();
        let mut records = Vec::new();
        for _ in 0..self.below(12) {
            let labels: Vec<&[u8]> = (0..self.below(DEPTH + 1))
                .map(|_| LABELS[self.below(LABELS.len())])
                .collect();
            let record = Record {
                owner: name(&labels, apex),
                rtype: TYPES[self.below(TYPES.len())],
                ttl: 60,
                // Short and long, so that some is shared and some is not.
                rdata: vec![u8::try_from(self.below(2)).unwrap(); 1 + 20 * self.below(2)],
            };
            if seen.insert((path(&record.owner), record.rtype, record.rdata.clone())) {
                records.push(record);
            }
        }
        records
    }
}

fn compare(tree: &Tree, model: &Model, apex: &Name, names: &[Name]) {
    let paths: Vec<Path> = tree.nodes().map(|node| path_of(&node)).collect();
    let expected: Vec<Path> = model.names.keys().cloned().collect();
    assert_eq!(paths, expected);
    let apex = path(apex);
    for (index, node) in tree.nodes().enumerate() {
        assert_eq!(usize::try_from(node.index()).unwrap(), index);
        let here = &model.names[&paths[index]];
        let found: BTreeMap<u16, Vec<Vec<u8>>> = node
            .rrsets()
            .map(|rrset| (rrset.rtype, rrset.records().map(<[u8]>::to_vec).collect()))
            .collect();
        assert_eq!(&found, here);
        assert!(node.rrsets().map(|rrset| rrset.rtype).is_sorted());
        let boundary = node.boundary().map(|boundary| path_of(&boundary));
        assert_eq!(boundary, model.boundary(&apex, &paths[index]));
    }
    for name in names {
        let found = tree.find(&name.key());
        let seen = found.node.map(|node| (path_of(&node), found.exact));
        assert_eq!(seen, model.closest(&apex, &path(name)), "{name}");
        assert_eq!(tree.get(&name.key()).is_some(), found.exact);
        if let Some(node) = found.node {
            assert_eq!(found.labels, node.labels());
            assert!(name.key().is_at_or_below(node.owner()));
            let source = name.key().child_of_suffix(found.labels, b"*");
            assert_eq!(node.has_wildcard(), tree.get(&source).is_some());
        }
    }
}

#[test]
fn the_tree_answers_as_a_plain_map_does() {
    for (apex, rounds) in [("z.", 150), (".", 30), ("b.ab.z.", 30)] {
        let apex: Name = apex.parse().unwrap();
        let mut names = all_names(&apex);
        names.extend(["y.", ".", "zz.", "ab.z."].map(|text| text.parse().unwrap()));
        for seed in 1..=rounds {
            let mut random = Random(seed * 0x9e37_79b9);
            let records = random.records(&apex);
            let tree = Tree::build(&apex, &records).unwrap();
            compare(&tree, &Model::of(&path(&apex), &records), &apex, &names);
        }
    }
}

#[test]
fn equal_data_lies_there_once() {
    let apex: Name = "z.".parse().unwrap();
    let records = |count: u16, one: bool| -> Vec<Record> {
        (0..count)
            .map(|at| Record {
                owner: format!("n{at:05}.z.").parse().unwrap(),
                rtype: rtype::TXT,
                ttl: 60,
                rdata: [
                    &[200][..],
                    &[if one { 7 } else { at.to_be_bytes()[1] }; 200],
                ]
                .concat(),
            })
            .collect()
    };
    let one = Tree::build(&apex, &records(250, true)).unwrap();
    let many = Tree::build(&apex, &records(250, false)).unwrap();
    assert!(many.size() - one.size() > 249 * 190);
    for tree in [&one, &many] {
        let texts = tree.nodes().flat_map(|node| node.rrsets());
        assert!(
            texts
                .map(|rrset| rrset.packed().len())
                .all(|length| length == 203)
        );
    }
}

#[test]
fn a_name_of_the_greatest_length_and_depth_is_found() {
    let deep: Name = "a.".repeat(127).parse().unwrap();
    let long: Name = format!("{0}.{0}.{0}.{1}.", "x".repeat(63), "y".repeat(61))
        .parse()
        .unwrap();
    let record = |owner: &Name| Record {
        owner: owner.clone(),
        rtype: rtype::A,
        ttl: 1,
        rdata: vec![1, 2, 3, 4],
    };
    let tree = Tree::build(&Name::root(), &[record(&deep), record(&long)]).unwrap();
    assert_eq!(tree.nodes().len(), 1 + 127 + 4);
    assert!(tree.find(&deep.key()).exact && tree.find(&long.key()).exact);
    let beside: Name = format!("b.{}", "a.".repeat(126)).parse().unwrap();
    let found = tree.find(&beside.key());
    assert!(!found.exact);
    assert_eq!(
        found.node.unwrap().owner(),
        "a.".repeat(126).parse::<Name>().unwrap().wire()
    );
}
