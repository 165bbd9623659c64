// rust.wasm DIR: Rust's standard library over WASI: collections, formatting, files, environment, clocks.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn collections() {
    // A HashMap seeds its hasher from the host's entropy: its order differs between live runs, and is printed, so that
    // a replay which draws other entropy cannot pass.
    let mut squares: HashMap<u32, u64> = HashMap::new();
    for i in 0..100 {
        squares.insert(i, u64::from(i) * u64::from(i));
    }
    let order: Vec<String> = squares.keys().take(8).map(|k| k.to_string()).collect();
    println!("hash order {}", order.join(","));
    println!("sum {}", squares.values().sum::<u64>());
    let text = "one two three two three three";
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for word in text.split(' ') {
        *words.entry(word).or_default() += 1;
    }
    println!("words {:?}", words);
    let unique: HashSet<char> = text.chars().filter(|c| c.is_alphabetic()).collect();
    println!("letters {}", unique.len());
}

fn files(dir: &Path) -> io::Result<()> {
    let path = dir.join("rust.txt");
    {
        let mut file = File::create(&path)?;
        for i in 0..1000 {
            writeln!(file, "line {}", i)?;
        }
    }
    let lines = BufReader::new(File::open(&path)?).lines().collect::<io::Result<Vec<_>>>()?;
    println!("lines {} last {:?}", lines.len(), lines.last());
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    file.seek(SeekFrom::Start(5))?;
    file.write_all(b"X")?;
    file.seek(SeekFrom::Start(0))?;
    let mut head = [0u8; 7];
    file.read_exact(&mut head)?;
    println!("head {:?}", String::from_utf8_lossy(&head));
    println!("size {}", fs::metadata(&path)?.len());
    fs::create_dir(dir.join("nested"))?;
    fs::rename(&path, dir.join("nested").join("moved.txt"))?;
    let mut names: Vec<String> = fs::read_dir(dir.join("nested"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    println!("names {:?}", names);
    fs::remove_dir_all(dir.join("nested"))?;
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => println!("gone"),
        other => panic!("expected it to be gone: {:?}", other),
    }
    Ok(())
}

fn clocks() {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    let slept = start.elapsed();
    assert!(slept >= Duration::from_millis(2));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    println!("slept {} ns at {} ns", slept.as_nanos(), now.as_nanos());
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    println!("arguments {}", arguments.len());
    println!("greeting {}", std::env::var("GREETING").unwrap_or_else(|_| "none".into()));
    collections();
    clocks();
    if let Some(dir) = arguments.get(1) {
        files(Path::new(dir))?;
    }
    if arguments.get(2).map(String::as_str) == Some("panic") {
        panic!("as asked");
    }
    Ok(())
}
