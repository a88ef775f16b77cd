//! `owners: keep` where nobody is root: an ordinary user serves, and is a client's root in a namespace of the ids that it has for others.
//! There it makes files of several owners and its rsync sends them; the gate runs outside, as itself. FIFOs lead from one to the other.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::terms::outcome::Outcome;
use snapgate::terms::record::Jail;

use support::accounts::Account;
use support::kept::{VARIABLE, again, keeper};
use support::{Gate, POLICY, Running, accounts, is_root, must, run, skip};

/// What a client's root has, made in the directory that the script stands in.
const MACHINE: &str = "
make() { mkdir -p \"$(dirname \"$1\")\"; echo \"$1\" >\"$1\"; chown \"$2\" \"$1\"; chmod \"$3\" \"$1\"; }
make etc/shadow 0:42 640
make etc/sudoers 0:0 440
make usr/bin/su 0:0 4755
make usr/bin/crontab 0:101 2755
make var/www/index.html 33:8 644
make var/secret 1234:5678 000
make home/late 60000:60001 600
make closed/inside 7:7 600
make walked/inside 0:7 604
ln -s index.html var/www/link
chown -h 33:33 var/www/link
ln var/www/index.html same.html
setfacl -m u:1:r,g:60000:rw etc/shadow
setfacl -d -m u:33:rwx home
setfattr -n user.note -v kept etc/sudoers
chown 7:7 closed
chmod 000 closed
chown 5:5 walked
chmod 111 walked
chown 33:33 var/www
chmod 2775 var/www
chmod 755 .
find . -depth -exec touch -h -d '2026-01-02 10:00:00.25' {} +
";

/// All that there is to be seen of a tree, one thing after the other. `@U` and `@G` stand before the numbers of users and groups.
const SEEN: &str = "
find . | sort | while read -r name; do
    find \"$name\" -maxdepth 0 -printf '%p %y%m @U%U @G%G %T@ %l\n' -type f -printf '%s bytes, %n names\n'
    [ ! -h \"$name\" ] || continue
    [ -d \"$name\" ] || cat \"$name\"
    getfattr -d -m user \"$name\"
    getfacl -c -p -n \"$name\" | sed -E 's/user:([0-9])/user:@U\\1/; s/group:([0-9])/group:@G\\1/'
done
";

/// An account that has ids for others, and what it needs to be a client's root in them.
struct User {
    gate: Gate,
    /// The words that make a command its.
    words: Vec<String>,
    account: Account,
    /// The first user and the first group that it has for others, and how many.
    ranges: [(u32, u32); 2],
    /// The maps of the client's namespace: the first id in it, the first outside, and how many.
    maps: [Vec<[u32; 3]>; 2],
}

impl User {
    fn new() -> Result<Self, String> {
        let (account, words) = match keeper() {
            Some(keeper) => (keeper.account.clone(), keeper.words()),
            None if is_root() => return Err(format!("another test runs it with {VARIABLE}")),
            None => (accounts::account(0), Vec::new()),
        };
        let range = |file: &str| accounts::range(&account, file).filter(|(_, count)| *count >= 65_536);
        let [Some(users), Some(groups)] = ["/etc/subuid", "/etc/subgid"].map(range) else {
            return Err(format!("`{}` has no 65,536 ids for others in /etc/subuid and /etc/subgid", account.name));
        };
        if !["/usr/bin/newuidmap", "/usr/bin/newgidmap"].iter().all(|program| Path::new(program).exists()) {
            return Err("no newuidmap (package uidmap)".to_owned());
        }
        let policy = if keeper().is_some() { POLICY.to_owned() } else { format!("{POLICY}owners: keep\n") };
        let mut user = Self { gate: Gate::with("", &policy), words, account, ranges: [users, groups], maps: [Vec::new(), Vec::new()] };
        let tried = run(&mut user.command(&["cat", "/proc/self/uid_map", "/proc/self/gid_map"]));
        if tried.status != 0 {
            return Err(format!("nobody can be root of the ids for others here: {}", tried.stderr.trim_end()));
        }
        let lines: Vec<[u32; 3]> = tried.stdout.lines().map(numbers).collect();
        let (users, groups) = lines.split_at(lines.len() / 2);
        user.maps = [users.to_vec(), groups.to_vec()];
        user.begin();
        Ok(user)
    }

    /// The client's directory, its FIFOs, and what stands in for ssh and sshd.
    fn begin(&self) {
        let client = self.client();
        fs::create_dir(&client).unwrap();
        self.gate.write(
            "relay",
            "shift; cd $DIR/client && printf '%s\\n' \"$*\" >said && exec 3<&0\ncat <&3 >up &\ncat <down; read -r status <ended; exit \"$status\"\n",
        );
        self.gate.write(
            "listen",
            "cd $DIR/client && read -r words <said\n/bin/sh $DIR/ssh backup \"$words\" <up >down 2>errors\necho $? >ended\n",
        );
        must(Command::new("mkfifo").args(["said", "up", "down", "ended"].map(|name| client.join(name))));
        if is_root() {
            must(Command::new("chown").arg("-R").arg(format!("{}:{}", self.account.uid, self.account.gid)).arg(&client));
        }
        let source = self.source();
        self.root(&format!("mkdir {0} && cd {0} || exit\n{MACHINE}", source.display()));
    }

    fn client(&self) -> PathBuf {
        self.gate.path().join("client")
    }

    fn source(&self) -> PathBuf {
        self.client().join("tree")
    }

    /// A command of the client's root.
    fn command(&self, words: &[&str]) -> Command {
        let all = self.words.iter().map(String::as_str);
        let all: Vec<_> = all.chain(["unshare", "--user", "--map-auto", "--map-root-user"]).chain(words.iter().copied()).collect();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]);
        command
    }

    /// Lines of a script that the client's root runs.
    #[track_caller]
    fn root(&self, script: &str) -> String {
        must(&mut self.command(&["/bin/sh", "-ec", script]))
    }

    /// The client's root pushes all that it has.
    #[track_caller]
    fn push(&self) {
        let listen = self.gate.path().join("listen");
        let listening = Running::start(Command::new("/bin/sh").arg(listen));
        let relay = format!("/bin/sh {}/relay", self.gate.path().display());
        let from = format!("{}/", self.source().display());
        let pushed = run(&mut self.command(&["rsync", "-aAXH", "--delete", "--numeric-ids", "-e", &relay, &from, "backup:"]));
        let said = fs::read_to_string(self.client().join("errors")).unwrap_or_default();
        assert_eq!((pushed.status, pushed.stderr.as_str(), said.as_str()), (0, "", ""), "{pushed:?}");
        listening.wait().exits(0);
    }

    /// What the client's root sees of a tree, every id by way of `ids`, which is told whether it is a user (0) or a group (1).
    fn seen(&self, tree: &Path, ids: impl Fn(usize, u32) -> u32) -> String {
        let text = self.root(&format!("cd {} || exit\n{SEEN}", tree.display()));
        let mut parts = text.split('@');
        let mut all = parts.next().unwrap().to_owned();
        for part in parts {
            let (kind, rest) = (usize::from(part.starts_with('G')), &part[1..]);
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            all.push_str(&format!("{}{}", ids(kind, rest[..end].parse().unwrap()), &rest[end..]));
        }
        all
    }

    /// The id as the kernel knows it, of users (0) or groups (1).
    fn outside(&self, kind: usize, id: u32) -> u32 {
        let line = self.maps[kind].iter().find(|[inside, _, count]| (*inside..inside + count).contains(&id));
        let [inside, outside, _] = line.unwrap_or_else(|| panic!("{id} is nobody's in {:?}", self.maps[kind]));
        outside + (id - inside)
    }

    /// The client's id that is stored as this one, which the client's root sees.
    fn stored(&self, kind: usize, id: u32) -> u32 {
        let (outside, (first, count)) = (self.outside(kind, id), self.ranges[kind]);
        assert!((first..first + count).contains(&outside), "{outside} is none of its ids for others, be it its own");
        outside - first
    }

    /// The number of the file behind each name.
    fn inodes(&self, tree: &Path) -> Vec<String> {
        let text = self.root(&format!("cd {} && find . -type f -printf '%p %i\\n' | sort", tree.display()));
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // What is its ids' only they can remove.
        let (store, client) = (self.gate.path().join("store/web1"), self.client());
        let _ = run(self.command(&["rm", "-rf"]).arg(store).arg(client));
    }
}

#[track_caller]
fn same(kept: &str, sent: &str) {
    for (kept, sent) in kept.lines().zip(sent.lines()) {
        assert_eq!(kept, sent);
    }
    assert_eq!(kept, sent);
}

fn numbers(line: &str) -> [u32; 3] {
    let words: Vec<u32> = line.split_whitespace().map(|word| word.parse().unwrap()).collect();
    words.try_into().unwrap()
}

#[test]
fn an_ordinary_user_keeps_what_a_client_s_root_sends_and_none_of_it_is_its_own() {
    let user = match User::new() {
        Ok(user) => user,
        Err(why) => return skip(&why),
    };
    let gate = &user.gate;
    let sent = || user.seen(&user.source(), |_, id| id);
    let kept = |snapshot: &Path| user.seen(snapshot, |kind, id| user.stored(kind, id));
    let first_sent = sent();
    for line in ["./usr/bin/su f4755 0 0 ", "./var/secret f0 1234 5678 ", "./closed d0 7 7 ", "user:1:r--", "default:user:33:rwx"] {
        assert!(first_sent.contains(line), "{line}\n{first_sent}");
    }
    user.push();
    let first = gate.newest();
    same(&kept(&first), &first_sent);
    let record = gate.record();
    assert_eq!((record.result, record.jail, record.warnings), (Outcome::Published, Jail::Whole, Vec::new()));

    // From outside: where its ids are, and that they are not its own.
    let [(users, _), (groups, _)] = user.ranges;
    for (name, owner, group) in
        [("", 0, 0), ("usr/bin/su", 0, 0), ("var/www/index.html", 33, 8), ("var/secret", 1234, 5678), ("closed", 7, 7)]
    {
        let found = fs::symlink_metadata(first.join(name)).unwrap();
        assert_eq!((found.uid(), found.gid()), (users + owner, groups + group), "{name}");
    }
    for name in ["etc/shadow", "var/secret", "closed/inside"] {
        let all: Vec<_> = user.words.iter().map(String::as_str).chain(["cat"]).collect();
        let read = run(Command::new(all[0]).args(&all[1..]).arg(first.join(name)));
        assert!(read.status != 0 && read.stderr.contains("Permission denied"), "{name}: {read:?}");
    }

    // Nothing has changed: every file is linked.
    let before = user.inodes(&first);
    user.push();
    let second = gate.newest();
    assert_ne!(second, first);
    assert_eq!(user.inodes(&second), before);
    assert_eq!(gate.record().push.unwrap().received, 0);
    same(&kept(&second), &sent().replace("2 names", "4 names").replace("1 names", "2 names"));

    // An owner alone has changed.
    user.root(&format!("chown 12:13 {}/etc/sudoers", user.source().display()));
    user.push();
    let third = user.inodes(&gate.newest());
    let changed: Vec<_> =
        before.iter().zip(&third).filter(|(one, other)| one != other).map(|(one, _)| one.split(' ').next().unwrap()).collect();
    assert_eq!(changed, ["./etc/sudoers"]);
    assert!(kept(&gate.newest()).contains("./etc/sudoers f440 12 13 "));
    assert!(kept(&first).contains("./etc/sudoers f440 0 0 "), "history stays");
}

/// Root's run has an account for it.
#[test]
fn so_does_an_account_of_root_s() {
    if is_root() {
        again(&["by_a_user::an_ordinary_user_keeps_what_a_client_s_root_sends_and_none_of_it_is_its_own"]);
    }
}
