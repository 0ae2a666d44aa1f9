#!/usr/bin/env bash
# A stack's life in Git, from the first pull request to a drift that is put right, on a local AWS and control plane.
#
#   gridbyoc sandbox run -- examples/gitops/walkthrough.sh
#
# What a pipeline would do is done here by three checkouts of one bare repository:
#   dev    somebody who edits the stack file
#   plan   the job of a pull request: plans, comments, hands on a bundle
#   apply  the job of the main branch: applies that bundle, exactly or not at all
set -euo pipefail

case "${AWS_ENDPOINT_URL:-}" in
  http://127.0.0.1:*) ;;
  *) echo "This changes an AWS account: run it as \`gridbyoc sandbox run -- $0\`." >&2; exit 2 ;;
esac

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
export GIT_AUTHOR_NAME=dev GIT_AUTHOR_EMAIL=dev@example.com GIT_COMMITTER_NAME=dev GIT_COMMITTER_EMAIL=dev@example.com
export GIT_CONFIG_GLOBAL=/dev/null
export GRIDBYOC_POLL_INTERVAL=${GRIDBYOC_POLL_INTERVAL:-1s}
say() { printf '\n=== %s\n' "$*"; }

# Both jobs have one secret: the key that the bundle is encrypted with. A saved plan holds the external id in clear.
GRIDBYOC_BUNDLE_KEY=$(head -c 32 /dev/urandom | base64)
export GRIDBYOC_BUNDLE_KEY

say "One repository, three checkouts"
git init -q --bare -b main "$here/origin.git"
git clone -q "$here/origin.git" "$here/dev" 2>/dev/null
cd "$here/dev"
git switch -q -c main
git commit -q --allow-empty -m "Begin"
git push -q origin main
git clone -q "$here/origin.git" "$here/plan"
git clone -q "$here/origin.git" "$here/apply"

say "dev: a stack file on a branch; its state shall lie in S3, where both jobs find it"
git switch -q -c new-cluster
gridbyoc new --no-input --name walk --cluster walk
gridbyoc state init --yes
git add gridbyoc.yaml
git commit -q -m "A cluster for the team"
git push -q origin new-cluster

say "plan job: what the pull request would change, as its comment; the plan itself goes into an encrypted bundle"
cd "$here/plan"
git fetch -q
git switch -q new-cluster
gridbyoc plan --out "$here/walk.bundle" --format markdown > "$here/comment.md"
cat "$here/comment.md"

say "Anybody may look at the bundle's header; only the key opens the rest"
gridbyoc bundle show "$here/walk.bundle"

say "The pull request is merged"
cd "$here/dev"
git switch -q main
git merge -q --no-ff -m "Merge new-cluster" new-cluster
git push -q origin main

say "apply job: exactly what was reviewed, on another checkout"
cd "$here/apply"
git pull -q
gridbyoc apply "$here/walk.bundle" --yes

say "The same bundle again: stale, for everything is done (status 9)"
gridbyoc apply "$here/walk.bundle" --yes || test $? -eq 9

say "apply job: nothing to do"
gridbyoc bootstrap --yes

say "Somebody takes a policy away from the role, in the AWS console"
role=$(gridbyoc outputs --name role_name)
"${PYTHON:-python3}" - "$role" <<'PYTHON'
import sys, boto3
arn = "arn:aws:iam::aws:policy/AmazonSQSFullAccess"
boto3.client("iam").detach_role_policy(RoleName=sys.argv[1], PolicyArn=arn)
PYTHON

say "nightly job: drift is found and named (status 3)"
gridbyoc drift || test $? -eq 3

say "It is put right in the same two steps"
gridbyoc plan --out "$here/fix.bundle" --format markdown > "$here/fix.md"
grep "of AWS attached" "$here/fix.md"
gridbyoc apply "$here/fix.bundle" --yes

say "Nothing to do any more"
gridbyoc bootstrap --yes
