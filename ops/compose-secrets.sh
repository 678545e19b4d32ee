#!/usr/bin/env bash
# Makes the secret files that docker-compose.yml mounts, once. Files that are there stay as they are.
set -euo pipefail
folder="${1:-$(dirname "$0")/../secrets}"
# The containers' users read their own files: they are mounted with the modes that they have here.
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; }
once() { [ -e "$folder/$1" ] || printf '%s\n' "$2" >"$folder/$1"; chmod 444 "$folder/$1"; }

once secret-key "$(random)"
once postgres-password "$(random)"
once redis-password "$(random)"
once database-url "postgres://berth:$(cat "$folder/postgres-password")@postgres:5432/berth"
once redis-url "redis://berth:$(cat "$folder/redis-password")@redis:6379/0"
echo "secrets are in $folder"
