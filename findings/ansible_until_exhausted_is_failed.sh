#!/usr/bin/env bash
# Runs:    ansible-core 2.19.14 (2.20.10 does the same; 2.21.5 does not).
# Seen:    a task with `until`, whose tries run out, and with `failed_when: false`: an [ERROR] line
#          is printed, the task counts as "changed", the play goes on, the exit status is 0. Yet the
#          registered variable has failed=true, so `is failed` holds and `is succeeded` does not,
#          while failed_when_result is false. Without `until` the same task registers failed=false;
#          so does 2.21.5 with it, and prints no [ERROR].
# Guess:   failed_when decides what `failed` is, with or without `until`, in every release.
# Matters: "wait for the service, then go on" followed by `when: result is failed` switches to the
#          fallback under 2.20, and under 2.21 never again: nothing fails and nothing is printed. An
#          alert on "[ERROR]" rings for a run that is green. Judge the result by its own values
#          (rc).
# Output:  with until: failed=True, failed_when_result=False, is succeeded=False, attempts=2
#          without:    failed=False, failed_when_result=False, is succeeded=True
#          exit status 0, failed=0 in the recap, [ERROR] lines: 1
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
    - ansible.builtin.command: "false"
      register: tried
      until: tried.rc == 0
      retries: 2
      delay: 0
      failed_when: false
    - ansible.builtin.command: "false"
      register: once
      failed_when: false
    - ansible.builtin.debug:
        msg: "SEEN {{ tried.failed }} {{ tried.failed_when_result }} {{ tried is succeeded }}
              {{ tried.attempts }}
              {{ once.failed }} {{ once.failed_when_result }} {{ once is succeeded }}"
YAML

export ANSIBLE_CONFIG="$WORK/ansible.cfg" ANSIBLE_HOME="$WORK/home" ANSIBLE_NOCOLOR=1
: >"$ANSIBLE_CONFIG"
STATUS=0
timeout 60 "$WORK/venv/bin/ansible-playbook" -i alpha, -c local \
    -e ansible_python_interpreter="$WORK/venv/bin/python" "$WORK/play.yml" \
    >"$WORK/output" 2>&1 || STATUS=$?

read -r FAILED WHEN SUCCEEDED ATTEMPTS ONCE_FAILED ONCE_WHEN ONCE_SUCCEEDED < <(
    sed -n 's/.*"SEEN \(.*\)".*/\1/p' "$WORK/output"
)
ERRORS=$(grep -c '^\[ERROR\]' "$WORK/output" || true)
RECAP=$(grep -o 'failed=[0-9]*' "$WORK/output" | tail -1)
printf 'with until: failed=%s, failed_when_result=%s, is succeeded=%s, attempts=%s\n' \
    "$FAILED" "$WHEN" "$SUCCEEDED" "$ATTEMPTS"
printf 'without:    failed=%s, failed_when_result=%s, is succeeded=%s\n' \
    "$ONCE_FAILED" "$ONCE_WHEN" "$ONCE_SUCCEEDED"
printf 'exit status %d, %s in the recap, [ERROR] lines: %d\n' "$STATUS" "$RECAP" "$ERRORS"

[[ "$FAILED $WHEN $SUCCEEDED $ATTEMPTS" == "True False False 2" ]]
[[ "$ONCE_FAILED $ONCE_WHEN $ONCE_SUCCEEDED" == "False False True" ]]
[[ "$STATUS $RECAP $ERRORS" == "0 failed=0 1" ]]
