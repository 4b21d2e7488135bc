#!/usr/bin/env bash
# Runs:    ansible-core 2.19.14 (2.21.5 does the same), two local hosts, no any_errors_fatal.
# Seen:    a `run_once` task fails inside a block, and its rescue succeeds. The rescue runs on the
#          first host alone. Every other host runs the block's `always` and is then out of the run:
#          no task after the block, no later play. The recap shows it with failed=0 and rescued=0;
#          the exit status is 2.
# Guess:   the rescue brings all hosts back, as the failure is one and is handled; or the other
#          hosts, which ran nothing and failed nothing, go on.
# Matters: "ask once whether the maintenance window is open, else use the default" on ten systems
#          maintains one of them. The recap, and tools that read it, call the nine others healthy.
#          Repeat the check per host, or set a fact with `ignore_errors`, outside of a block.
# Output:  ran: alpha rescue, alpha always, beta always, alpha after, alpha next play
#          beta : ok=1 changed=0 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0
#          exit status 2
set -euo pipefail
export LC_ALL=C.UTF-8
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile ansible-core==2.19.14

cat >"$WORK/play.yml" <<'YAML'
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.fail:
            msg: the calendar cannot be read
          run_once: true
      rescue:
        - ansible.builtin.debug:
            msg: "SEEN {{ inventory_hostname }} rescue"
      always:
        - ansible.builtin.debug:
            msg: "SEEN {{ inventory_hostname }} always"
    - ansible.builtin.debug:
        msg: "SEEN {{ inventory_hostname }} after"
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "SEEN {{ inventory_hostname }} next play"
YAML

export ANSIBLE_CONFIG="$WORK/ansible.cfg" ANSIBLE_HOME="$WORK/home" ANSIBLE_NOCOLOR=1
: >"$ANSIBLE_CONFIG"
STATUS=0
timeout 60 "$WORK/venv/bin/ansible-playbook" -i alpha,beta, -c local \
    -e ansible_python_interpreter="$WORK/venv/bin/python" "$WORK/play.yml" \
    >"$WORK/output" 2>&1 || STATUS=$?

RAN=$(sed -n 's/.*"SEEN \(.*\)".*/\1/p' "$WORK/output" | paste -sd, | sed 's/,/, /g')
RECAP=$(grep '^beta ' "$WORK/output" | tr -s ' ' | sed 's/ $//')
printf 'ran: %s\n%s\nexit status %d\n' "$RAN" "$RECAP" "$STATUS"

[[ $RAN == "alpha rescue, alpha always, beta always, alpha after, alpha next play" ]]
[[ $RECAP == "beta : ok=1 changed=0 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0" ]]
[[ $STATUS == 2 ]]
