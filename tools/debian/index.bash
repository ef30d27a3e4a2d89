# What the programs that read Debian's indexes share: their options, and fetching the indexes with apt, in directories
# of its own. The system's sources, lists and caches stay as they are; its mirror, proxy and other settings are used.
# To be sourced by a program that has set `program`.
#
#   take_option "$@"    reads one of the shared options and sets `taken` to how many words it took; 0: it is none
#   fetch_indexes KIND…  fetches them: Sources, Packages, Contents
#   index_files KIND    prints the files of one kind
#   cat_index FILE      prints one, decompressed
# shellcheck shell=bash disable=SC2016,SC2034

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { say "$*"; exit 1; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/stonetown/debian
output=() release='' mirror='' offline=''
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

shared_options() {
  cat <<'HELP'
  --output FILE    where the tuples go (default: standard output)
  --cache DIR      where the indexes are kept (default: ${XDG_CACHE_HOME:-~/.cache}/stonetown/debian)
  --release NAME   which release (default: this machine's, or bookworm where it is not a Debian release)
  --mirror URL     from where (default: the mirror of this machine's apt sources, or http://deb.debian.org/debian)
  --keyring FILE   the keys that sign it (default: /usr/share/keyrings/debian-archive-keyring.gpg)
  --offline        use the indexes of the last run
  --help           this text
HELP
}

take_option() {
  case $1 in
    --output | --cache | --release | --mirror | --keyring) [ $# -ge 2 ] || die "$1 needs a value" ;;&
    --output) output=(--output "$(realpath -m -- "$2")") taken=2 ;;
    --cache) cache=$2 taken=2 ;;
    --release) release=$2 taken=2 ;;
    --mirror) mirror=$2 taken=2 ;;
    --keyring) keyring=$(realpath -- "$2") taken=2 ;;
    --offline) offline=yes taken=1 ;;
    --help | -h) usage; exit 0 ;;
    *) taken=0 ;;
  esac
}

# --- which release, from where, signed by whom ---------------------------------------------------------------
find_archive() {
  # shellcheck source=/dev/null
  . /etc/os-release
  if [ -z "$release" ]; then
    release=bookworm
    [ "$ID" != debian ] || release=${VERSION_CODENAME:-sid}
  fi
  if [ -z "$mirror" ] && [ "$ID" = debian ]; then
    # Where lists were never fetched, as in an image, apt knows the name in its sources but not the origin.
    for filters in "Origin: Debian|Codename: $release" "Release: $release|Component: main"; do
      mirror=$(apt-get indextargets --format '$(REPO_URI)' "${filters%|*}" "${filters#*|}" 'Created-By: Packages' |
        sed '/^cdrom:/d')
      mirror=${mirror%%$'\n'*}
      [ -z "$mirror" ] || break
    done
  fi
  if [ -z "$mirror" ]; then
    mirror=http://deb.debian.org/debian
    say "this machine's apt has no source for Debian $release: using $mirror (another: --mirror)"
  fi
  if [ ! -e "$keyring" ]; then
    die "the keys of Debian are missing ($keyring): install them with 'apt-get install debian-archive-keyring', \
or name another file with --keyring"
  fi
}

# --- the indexes -----------------------------------------------------------------------------------------------
target() { # where apt asks for it, kind, its place in the archive
  printf 'Acquire::IndexTargets::%s::%s {\n  MetaKey "$(COMPONENT)/%s";\n  ShortDescription "%s";\n' "$1" "$2" "$3" "$2"
  printf '  Description "$(RELEASE)/$(COMPONENT) %s";\n};\n' "$2"
}

own_apt_get() { apt-get --config-file="$cache/apt.conf" "$@"; }

fetch_indexes() {
  mkdir -p "$cache"
  cache=$(cd "$cache" && pwd)
  find_archive
  mkdir -p "$cache"/state/lists/partial "$cache"/archives/partial
  for kind in deb-src deb; do
    printf '%s [arch=amd64 signed-by=%s] %s %s main\n' "$kind" "$keyring" "$mirror" "$release"
  done >"$cache/sources.list"
  {
    # Hooks in the system's configuration would work on the system's lists and caches: not run here.
    cat <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets;
Acquire::GzipIndexes "true";
APT::Get::List-Cleanup "false";
Dir::State "$cache/state";
Dir::Cache "$cache";
Dir::Etc::sourcelist "$cache/sources.list";
Dir::Etc::sourceparts "/dev/null";
CONF
    for kind in "$@"; do
      case $kind in
        Sources) target deb-src Sources source/Sources ;;
        Packages) target deb Packages 'binary-$(ARCHITECTURE)/Packages' ;;
        Contents) target deb Contents 'Contents-$(ARCHITECTURE)' ;;
      esac
    done
  } >"$cache/apt.conf"
  if [ -z "$offline" ]; then
    own_apt_get -qq -o APT::Update::Error-Mode=any update >&2 ||
      die "the indexes of Debian $release could not be fetched from $mirror (another: --mirror)"
  fi
  for kind in "$@"; do
    [ -n "$(index_files "$kind")" ] ||
      die "there is no $kind index of Debian $release in $cache: run without --offline"
  done
}

index_files() {
  own_apt_get indextargets --format '$(FILENAME)' "Created-By: $1" |
    while read -r file; do [ ! -e "$file" ] || printf '%s\n' "$file"; done
}

cat_index() { /usr/lib/apt/apt-helper cat-file "$1"; }

has_apt() { [ -x /usr/lib/apt/apt-helper ]; }
