"""Every mutant, by the subject that it endangers.

A line belongs here if its loss costs a user something for good, grants more than was asked for, or makes a verdict say
what is not so.
"""

from __future__ import annotations

from tests.mutants.source import Mutant


def _each(file: str, tests: str, *changes: tuple[str, str, str]) -> tuple[Mutant, ...]:
    """Mutants of one file (function, old, new) that the same tests must notice."""
    return tuple(Mutant(file, function, old, new, tuple(tests.split())) for function, old, new in changes)


ROLE_ACCEPTS = (
    *_each(
        "steps/overlap.py",
        "unit/test_overlap.py",
        ("ids_to_keep", "accepted & set(used)", "set(used)"),
        ("ids_to_keep", "accepted if hidden else", "set() if hidden else"),
        ("ids_to_keep", "(grant.external_id, *others)", "tuple(others)"),
        ("ids_in_use", " and cluster.role_arn in roles", ""),
        ("ids_in_use", " and cluster.phase is not Phase.DELETED", ""),
        ("hide_their_id", "cluster.external_id is None", "False"),
    ),
    *_each(
        "steps/overlap.py",
        "unit/test_verify_rotation.py",
        ("Rotation.under_way", "return True if kept else None", "return True"),
        ("Rotation.under_way", "self.holder or (", "("),
        ("Rotation.under_way", "self.hidden or self.changing", "self.changing"),
        ("Rotation.under_way", "return False", "return None"),
    ),
    *_each(
        "aws/role.py",
        "unit/test_verify_live_role.py unit/test_bootstrap.py",
        ("_trouble", 'role["Arn"] != role_arn', "False"),
        ("_judged", '"denied"', '"nothing"'),
        ("_judged", '"unknown":', '"nothing":'),
        ("_judged", "(external_id.reveal(),)", "()"),
    ),
    *_each(
        "aws/accepted.py",
        "unit/test_overlap.py unit/test_adopt.py unit/test_rotation.py",
        ("_accepted", 'statement.get("Effect") != "Allow"', "False"),
        ("_accepted", "action_matches(actions, ASSUME).holds is False", "False"),
        ("_accepted", " if EXTERNAL_ID_FORM.fullmatch(each)", ""),
    ),
    *_each(
        "steps/replacement.py",
        "unit/test_rotation.py",
        ("_drop", "plan.destroys and not may_destroy", "False"),
        ("_may_go", "return may_destroy and not users", "return may_destroy"),
        ("_may_go", "return may_destroy and not users", "return not users"),
        ("finish_replacement", "kept = ids_to_keep(done, grant, clusters)", "kept = (grant.external_id,)"),
        ("finish_replacement", "not run.choices.wait or not may_plan", "not may_plan"),
        ("replace_role", "run.stack.role.name == found.role_name", "False"),
    ),
)

APPROVAL = (
    *_each(
        "steps/plan.py",
        "unit/test_plan.py",
        ("Plan._half_made", " and not in_use", ""),
        ("Plan._half_made", 'change.reason == "tainted" and ', ""),
        ("Plan._half_made", '".aws_iam_" in change.address', "True"),
        ("Plan.destroys", '{"delete", "replace"}', '{"delete"}'),
        ("Plan.destroys", '{"delete", "replace"}', '{"replace"}'),
        ("Plan.destroys", 'if change.action == "delete")', "if False)"),
        ("_real", "not any(", "any("),
    ),
    *_each(
        "steps/bootstrap.py",
        "unit/test_bootstrap.py",
        ("_approve", "plan.destroys and not approval.destroy and approval.create_and_change", "False"),
        ("_approve", "if not approved:", "if False:"),
        ("_approve", "        refuse_if_protected(", "        str("),
        ("_apply", "site.runner.apply(plan.saved)", "site.runner.apply()"),
        ("_bootstrap", "site.fresh and approval.create_and_change", "approval.create_and_change"),
        ("_final_changes", " or change.name in shown", " or True"),
        ("_delete_unlisted", " and c.role_arn == doomed[c.id].role_arn", ""),
        ("carry_out", "    prove_trust(run, site, grant)\n", ""),
    ),
    *_each(
        "steps/destroy.py",
        "unit/test_destroy.py",
        ("destroy", '    refuse_if_protected(run, "destroy its clusters and its role")\n', ""),
        ("destroy", "doomed.nothing or approve(doomed)", "True"),
        ("destroy", "    _refuse_while_needed(site, doomed)\n", ""),
        ("destroy", "if left.ledger.clear:", "if True:"),
        ("_doomed", "if cluster.role_arn in roles)", ")"),
        ("_refuse_while_needed", "c.role_arn in doomed.roles", "False"),
    ),
    *_each(
        "steps/changes.py",
        "unit/test_changes.py",
        ("cluster_changes", "cluster.role_arn in ours and ", ""),
        ("_wanted", "if cluster.role_arn not in ours:", "if False:"),
        ("_wanted", 'cluster.status == "terminating"', "False"),
    ),
    *_each(
        "steps/rollback.py",
        "unit/test_rollback.py",
        ("Made.new", " if address not in self.before", ""),
        ("_for_good", "400 <= error.http_status", "0 <= error.http_status"),
        ("_roll_back", "        if others:\n", "        if False:\n"),
        ("_roll_back", "made.clusters)", "site.preflight.clusters)"),
    ),
    *_each("stack/overrides.py", "unit/test_stack_overrides.py", ("_refuse_place", 'place[0] == "protect"', "False")),
)

ACCOUNTS = (
    *_each(
        "aws/identity.py",
        "unit/test_account_guards.py",
        ("guard_account", "caller.account_id != account_id", "False"),
        ("guard_account", "caller.account_id != account_id", "not caller.account_id.startswith(account_id)"),
    ),
    *_each(
        "steps/leftovers.py",
        "unit/test_account_guards.py",
        ("open_account", "    guard_account(caller, run.stack.aws.account_id)\n", ""),
    ),
    *_each(
        "steps/preflight/flight.py",
        "unit/test_account_guards.py",
        ("_basics", "    guard_account(caller, run.stack.aws.account_id)\n", ""),
    ),
    *_each(
        "steps/state_init.py",
        "unit/test_account_guards.py",
        ("_wanted", "    guard_account(caller, stack.aws.account_id)\n", ""),
    ),
    *_each(
        "steps/state_unlock.py",
        "unit/test_account_guards.py",
        ("find_lock", "    guard_account(caller_identity(session), run.stack.aws.account_id)\n", ""),
    ),
    *_each(
        "steps/verify.py",
        "unit/test_account_guards.py unit/test_verify.py",
        ("_guard_role", "caller.account_id != account", "False"),
        ("prove", "    guard_account(caller, run.stack.aws.account_id)\n", ""),
        ("Proof.holds", '== "pass" if strict', '!= "fail" if strict'),
    ),
    *_each(
        "aws/state_bucket.py",
        "unit/test_account_guards.py",
        ("_mine", ', "ExpectedBucketOwner": bucket.account_id', ""),
    ),
)

VERDICTS = (
    *_each(
        "steps/verify_trust.py",
        "unit/test_verify.py",
        ("admission", "(trust.subject.external_id.reveal(),)", "()"),
        ("TrustCase.exempt", "self.without_id - {self.control_plane}", "self.declared"),
        ("TrustCase.exempt", "not named.negated", "True"),
        ("_all_denied", "    if allowed:\n", "    if False:\n"),
        ("_all_denied", "    if unsure:\n", "    if False:\n"),
        ("TrustCase.stranger", "not in named", "in named"),
        ("another_id", 'if trust.further(each) != "fail"', ""),
        ("another_id", ", *trust.named_ids(actor)", ""),
        ("strangers", ", *_accounts_in_conditions(trust)", ""),
        ("TrustCase.further", "self.subject.undeclared if under_way is False else ", ""),
    ),
    *_each(
        "steps/verify_principals.py",
        "unit/test_verify.py",
        ("_other", "name in trust.declared", "True"),
        ("_other", 'entry.value == "*"', "False"),
        ("_other", "(parts[1], parts[4]) == (trust.subject.role.partition, account)", "True"),
        ("_without_id", 'any(answer.effect == "unknown" for answer in answers)', "False"),
        ("_without_id", 'trust.named(PrincipalEntry("AWS", who)) in trust.without_id', "True"),
        ("id_remark", " and form.plain", ""),
        ("id_remark", "if any(each.holds for each in met):", "if False:"),
        ("further_ids", "if _positive(each)", "if False"),
        ("guessable", "not can_be_guessed(subject.external_id, names)", "True"),
        ("negations", '"fail" if statement.effect == "Allow" else "warn"', '"warn"'),
        ("_finding", "    if unread:\n", "    if False:\n"),
    ),
    *_each(
        "steps/verify_grants.py",
        "unit/test_verify.py",
        ("needs", "    if missing:\n", "    if False:\n"),
        ("explicit_denials", "    if denied:\n", "    if False:\n"),
        ("explicit_denials", "if unread or grants.subject.role.unlisted:", "if False:"),
        ("boundary", "    if denied:\n", "    if False:\n"),
        ("declared_boundary", "live == wanted", "True"),
        ("undeclared", "    if subject.role.unlisted:\n", "    if False:\n"),
        ("own_policy", "    if live.document is None:\n", "    if False:\n"),
        ("_or_unknown", "    if not unsure:\n", "    if True:\n"),
    ),
    *_each(
        "steps/role_policies.py",
        "unit/test_role_policies.py",
        ("compare_policies", "if arn not in live)", "if False)"),
        ("compare_policies", "if arn not in known)", "if False)"),
        ("compare_policies", "if name not in known_inline)", "if False)"),
        ("_content", "there.keys() - asked.keys()", "set()"),
        ("_content", "asked.keys() - there.keys()", "set()"),
        ("_boundary", "live == wanted", "True"),
        ("_key", '("Action", "NotAction")', '("Action", "NotAction", "Resource")'),
        ("_unknown", "    if role.unlisted_attached:\n", "    if False:\n"),
        ("declared_arns", 'f"arn:{partition}:iam::aws:policy/"', '""'),
    ),
    *_each(
        "aws/live_role.py",
        "unit/test_verify_live_role.py",
        ("_role", 'role["Arn"] != role_arn', "False"),
        ("_listed", "unread_reason(error)", '""'),
        ("unread_reason", "    raise error", '    return ""'),
    ),
    *_each(
        "steps/drift.py",
        "unit/test_drift.py",
        ("_control_plane", 'if change.action != "none":', "if False:"),
        ("_trust", "found.differences.append(", "str("),
        ("_policies", "found.unknown += compared.unknown", "pass"),
        ("_policies", "found.differences += (", "_ = ("),
        ("DriftFound.none", " and not self.unknown", ""),
        ("_terraform", "not plan.changes and not plan.outputs", "True"),
    ),
)

POLICIES = (
    *_each(
        "aws/policy/evaluate.py",
        "unit/test_policy_table.py",
        ("evaluate", "if denied := _first(denies, True):", "if False and (denied := _first(denies, True)):"),
        ("evaluate", "if perhaps_denied and (allowed or perhaps_allowed):", "if False:"),
        ("evaluate", "    if perhaps_allowed:\n", "    if False:\n"),
        ("evaluate_identity", "    if boundary is None:\n", "    if True:\n"),
        ("_one_action", "if documented else", "if True else"),
        ("_one_resource", "if ends and ONE not in tokens else", "if True else"),
    ),
    *_each(
        "aws/policy/conditions.py",
        "unit/test_policy_table.py",
        ("condition_holds", "    if form is None:\n", "    if False:\n"),
        ("condition_holds", "    if values is None:\n", "    if False:\n"),
        ("_one_value", "result.negated() if known.negated", "result if known.negated"),
        ("_absent", "if form.if_exists or known.negated or form.quantifier:", "if True:"),
        ("_present", 'if form.quantifier == "ForAllValues"', "if False"),
        ("_null", '"false" if values else "true"', '"true" if values else "false"'),
    ),
    *_each(
        "aws/policy/principals.py",
        "unit/test_policy_table.py",
        ("principals_match", "    if principals.negated:\n", "    if False:\n"),
        ("entry_covers", "mine[4] == entry.value", "True"),
        ("entry_covers", '"*" in entry.value or "?" in entry.value', "False"),
        ("entry_covers", "and named[4] != mine[4]", "and False"),
        ("_same_account", "named[1] != mine[1]", "False"),
        ("_same_account", "_role_of(named) == _session_role(mine)", "True"),
    ),
    *_each(
        "aws/policy/operators.py",
        "unit/test_policy_table.py",
        ("_string_equals", "==", "in"),
        ("_arn_like", "len(patterns) != 6 or parts is None", "parts is None"),
        ("_ip", "network.version == address.version and address in network", "True"),
        ("_sign", "actual[1] < limit[0]", "actual[0] < limit[0]"),
    ),
    *_each(
        "aws/policy/match.py",
        "unit/test_policy_table.py",
        ("Match.negated", "None if self.holds is None else not self.holds", "not self.holds"),
        ("every", "match.holds is None and result.holds", "False"),
    ),
    *_each("aws/policy/digest.py", "unit/test_policy_parse.py", ("redact", "== EXTERNAL_ID", "== ''")),
)

FINGERPRINT = (
    *_each(
        "steps/converged.py",
        "unit/test_converged.py",
        ("_compare", "!= record.inputs", "== ''"),
        ("_compare", "caller.result().account_id != record.account_id", "False"),
        ("_compare", "!= record.state", "== ''"),
        ("_compare", "!= record.live", "== ''"),
        ("_compare", "if not policies.as_declared:", "if False:"),
        ("_same_clusters", "!= record.clusters", "== ''"),
        ("_same_clusters", ' or any(c.status != "running" for c in ours)', ""),
        ("_fingerprint", "{cluster.name for cluster in clusters} != wanted.keys()", "False"),
        ("_fingerprint", "if moved or not stands_as_in_state(live, site.runner.state(), run.stack.role):", "if moved:"),
        ("remember_converged", "if old_grant or not", "if not"),
        ("_inputs", '    yield ["tool", __version__]\n', ""),
        ("_covered", "return not any(strange_files(run.work_dir))", "return True"),
        ("_read", "record.format == FORMAT", "True"),
        ("_read", "isinstance(text, str)", "True"),
        ("_read", "_ROLE_ARN.fullmatch(record.role_arn)", "True"),
    ),
    *_each(
        "steps/converged_state.py",
        "unit/test_converged_state.py",
        ("stands_as_in_state", '_same_role(facts["role"], roles[0])', "True"),
        ("stands_as_in_state", "all(_same_policy(live[arn], policy) for arn, policy in policies.items())", "True"),
        ("stands_as_in_state", "policies.keys() <= live.keys()", "True"),
        ("_same_role", 'normal_form(live["trust"]) == normal_form(json_object(kept["assume_role_policy"]))', "True"),
        ("_same_role", '(boundary or "") == (kept["permissions_boundary"] or "")', "True"),
    ),
    *_each(
        "steps/converged_state.py",
        "unit/test_converged.py",
        ("facts_of", "    if role.unknown:\n", "    if False:\n"),
    ),
)

BUNDLES = (
    *_each(
        "steps/bundle/basis.py",
        "unit/test_bundle_basis.py",
        ("moved", "    yield from other_account(then.account_id, now.account_id)\n", ""),
        ("moved", "then.control_plane != now.control_plane", "False"),
        ("moved", "then.region != now.region", "False"),
        ("other_account", "then != now", "False"),
        ("_state_moved", "then.lineage != now.lineage", "False"),
        ("_state_moved", "then.serial != now.serial", "False"),
        ("_state_moved", "then.place != now.place", "False"),
        ("_clusters_moved", "after[mark.id] != mark", "False"),
        ("_clusters_moved", "mark.id not in before", "False"),
        ("_clusters_moved", "mark.id not in after", "False"),
        ("_spec_digest", "[cluster.desired_state.value, spec]", "[spec]"),
        ("_spec_digest", "[cluster.desired_state.value, spec]", "[cluster.desired_state.value]"),
    ),
    *_each(
        "steps/bundle/apply.py",
        "unit/test_bundle_basis.py",
        ("made_moved", "then.module != now.module", "False"),
        ("made_moved", "then.tool != now.tool", "False"),
        ("made_moved", "before != after", "False"),
        ("made_moved", "then.lock_file != now.lock_file", "False"),
        ("made_moved", "(then.flavour, then.version) != (now.flavour, now.version)", "False"),
        ("used_up", 'record.get("run") in takers', "False"),
        ("used_up", 'record.get("effect") == "destroy"', "False"),
    ),
    *_each(
        "steps/bundle/apply.py",
        "unit/test_bundle_apply.py",
        ("_decisions_moved", "root_digest(run.work_dir) != bundle.root", "False"),
        ("_decisions_moved", "then not in now", "False"),
        ("_decisions_moved", "each.name not in known", "False"),
        ("_checkout_moved", "bundle.stack != run.stack.name", "False"),
        ("_checkout_moved", "environment_digest(run.outside.environ) != bundle.environment", "False"),
        ("_checkout_moved", "    if local and not any(", "    if False and not any("),
    ),
    *_each(
        "steps/bundle/file.py",
        "unit/test_bundle_file.py",
        ("unpack", "lock is None and key is not None", "False"),
        ("unpack", 'hashlib.sha256(sealed).hexdigest() == header.get("payload_sha256")', "True"),
        ("_header", 'found.get("format") != FORMAT', "False"),
        ("_members", "info.compress_type != zipfile.ZIP_STORED or ", ""),
        ("_members", "!= [HEADER_NAME, PAYLOAD_NAME]", "== []"),
    ),
    *_each(
        "steps/bundle/sealing.py",
        "unit/test_bundle_file.py",
        ("unseal", "decrypt(nonce, sealed, header)", "decrypt(nonce, sealed, None)"),
        ("unseal", "!= [CIPHER, KDF, N, R, P]", "== []"),
        ("bundle_key", "len(text) < SHORTEST_KEY", "False"),
    ),
)

STATE = (
    *_each(
        "steps/state_migrate.py",
        "unit/test_state_migrate.py",
        ("_refuse_conflict", "there.lineage == before.lineage and there.serial <= before.serial", "True"),
        (
            "_refuse_conflict",
            "there.lineage == before.lineage and there.serial <= before.serial",
            "there.serial <= before.serial",
        ),
        (
            "_refuse_conflict",
            "there.lineage == before.lineage and there.serial <= before.serial",
            "there.lineage == before.lineage",
        ),
        ("_verify", "source_now.serial != before.serial or not source_now.same_content(before)", "False"),
        ("_verify", " and after.same_content(before)", ""),
        ("_verify", "after.lineage == before.lineage and ", ""),
        ("_copy", "    if not approved:\n", "    if False:\n"),
        ("_copy", "    _verify(words, before, after, snapshot_of(runner.pull(source)))\n", ""),
        ("_settle", "held.lineage != state.lineage or held.serial > state.serial", "False"),
        ("migrate", "    runner.refuse_errored()", "    runner"),
        ("_check_account", "        guard_account(caller_identity(session), run.stack.aws.account_id)\n", ""),
    ),
    *_each(
        "steps/state_push.py",
        "unit/test_state_push.py",
        ("_refuse_conflict", "there.lineage == errored.lineage and there.serial < errored.serial", "True"),
        (
            "_refuse_conflict",
            "there.lineage == errored.lineage and there.serial < errored.serial",
            "there.serial < errored.serial",
        ),
        (
            "_refuse_conflict",
            "there.lineage == errored.lineage and there.serial < errored.serial",
            "there.lineage == errored.lineage",
        ),
        ("_push", "not after.same_content(errored)", "False"),
    ),
    *_each("steps/state_place.py", "unit/test_bootstrap.py", ("init_in_place", "same_place(place, wanted)", "True")),
    *_each(
        "terraform/places.py",
        "unit/test_state_snapshot.py",
        ("same_place", '("bucket", "key")', '("bucket",)'),
        ("same_place", '("bucket", "key")', '("key",)'),
        ("local_state", 'state.get("version") == 4 or ', "True or "),
    ),
    *_each(
        "terraform/snapshot.py",
        "unit/test_state_snapshot.py",
        ("Snapshot.same_content", "self.digest == other.digest and ", ""),
        ("snapshot_of", "not instances and not outputs", "not instances"),
        ("whole", 'state.get("lineage") or str(uuid.uuid4())', '""'),
    ),
    *_each(
        "steps/state_unlock.py",
        "unit/test_state_lock.py",
        ("judge", "info.who != here", "False"),
        ("judge", "    if found is None:\n", "    if False:\n"),
        ("judge", "    if found:\n", "    if False:\n"),
        ("judge", "    if step is None:\n", "    if False:\n"),
        ("_bad_steps", 'end.get("code") not in _REFUSED', "True"),
        ("_step_of", "began <= info.created <= ", "info.created <= "),
    ),
    *_each("steps/lock.py", "unit/test_run_parts.py", ("_taken", "lock.acquire(timeout=wait)", "None")),
    *_each(
        "terraform/torn.py",
        "unit/test_adopt.py",
        ("put_back", "not state_file.exists() or read_json(state_file)", "not state_file.exists()"),
        ("put_back", "    if not has_resources(read_json(copy)):\n        return False\n", ""),
    ),
    *_each(
        "steps/adopt.py",
        "unit/test_adopt.py",
        ("_adopt_policy", "not tags or tags.get(STACK_TAG) != run.stack.name", "not tags"),
        ("_stray_role", "if len(found) == 1 else None", "if found else None"),
        ("_sought", "cut_off - SKEW if cut_off else None", "cut_off"),
        ("_sought", "used=frozenset(", "used=frozenset() and frozenset("),
    ),
    *_each(
        "steps/journal.py", "unit/test_adopt.py", ("cut_off_since", "began = None\n        elif", "pass\n        elif")
    ),
    *_each(
        "aws/stray.py",
        "unit/test_adopt.py",
        ("stray_roles", 'if role["RoleName"] not in sought.known', ""),
        ("_made_since", 'role["CreateDate"] < sought.since', "False"),
        ("_made_since", 'role["RoleName"] in sought.used', "False"),
        ("_made_since", ".get(STACK_TAG) == sought.stack", ".get(STACK_TAG) is not None"),
    ),
)

LEFTOVERS = (
    *_each(
        "aws/leftovers/evidence.py",
        "unit/test_leftovers_evidence.py",
        ("claims", 'value == "owned"', "True"),
        ("Judge.judge", "resource.arn in self.spared or ", ""),
        ("Judge.judge", " or STACK_TAG in resource.tags", ""),
        ("Judge.judge", "not claim.owned or ", ""),
        ("Judge.judge", "any(not claim.owned", "all(not claim.owned"),
        ("Judge.judge", " or claim.name not in self.identities", ""),
        ("Judge._by_tag", "claim.eks and claim.name in self.contested", "False"),
        ("Judge._by_word", "resource.tags.get(key) == value", "key in resource.tags"),
        ("Judge._by_name", "named.proof.eks and named.proof.cluster in self._contested_clusters()", "False"),
        ("Judge._by_name", "None if older else named.proof", "named.proof"),
        ("Judge._by_parent", "if key in self.parents:", "if self.parents:"),
    ),
    *_each(
        "aws/leftovers/delete.py",
        "unit/test_leftovers_delete.py",
        ("Deletion._try", "    if proof is None:\n", "    if False:\n"),
        ("Deletion._try", "proof.eks and not self.ground.sure_of_eks", "False"),
        ("Deletion._try", "resource.holds_data and not self.delete_data", "False"),
        ("Deletion._is_ours", "proof is not None and key in self.ours", "proof is not None"),
        ("Deletion._is_ours", "proof is not None and key in self.ours", "key in self.ours"),
        ("Deletion._gone", "is None", "is not None"),
    ),
    *_each(
        "aws/leftovers/find.py",
        "unit/test_leftovers_evidence.py unit/test_leftovers_delete.py unit/test_leftovers_steps.py",
        ("contested_names", "if judge.judge(one) is None", "if False"),
        ("Ground.sure_of_eks", "not any(", "True or any("),
        ("prove_again", "replace(ground.judge, parents={})", "ground.judge"),
    ),
    *_each(
        "steps/leftovers.py",
        "unit/test_leftovers_steps.py",
        ("find_leftovers", "    _refuse_live(asked.names, live)\n", ""),
        ("find_leftovers", " if one.name not in in_use", ""),
        (
            "delete_leftovers",
            "    _refuse_live(tuple(cluster.name for cluster in found.search.clusters), _live(registrar))\n",
            "",
        ),
        ("_spared", "        buckets.add(backend.bucket)\n", "        pass\n"),
        ("_spared", "{cluster.bucket_name for cluster in live if cluster.bucket_name}", "set()"),
        ("parse_tag", 'and value != "owned"', "and False"),
    ),
)

SECRETS = (
    *_each(
        "stack/secret.py",
        "unit/test_stack_types.py",
        ("Secret.__repr__", '"[secret]"', "self._value"),
        ("Secret.__format__", 'format("[secret]", spec)', "format(self._value, spec)"),
        ("Secret.__reduce__", 'raise TypeError("a Secret cannot be pickled")', "return (Secret, (self._value,))"),
        ("Secret.hidden_in", "text.replace(self._value, str(self))", "text"),
    ),
    *_each(
        "terraform/redaction.py",
        "unit/test_terraform_parts.py",
        ("Redactor.clean", "text = text.replace(form, _MASK)", "pass"),
        ("Redactor.learn", "(-len(form), form)", "(len(form), form)"),
        ("_forms", ", by_go", ""),
        ("_forms", ', quote(value), quote(value, safe="")', ""),
    ),
    *_each(
        "terraform/outputs.py", "unit/test_terraform_parts.py", ("sensitive_values", 'name == "external_id" or ', "")
    ),
    *_each(
        "terraform/environment.py",
        "unit/test_terraform_parts.py",
        ("child_environment", " and not name.startswith(_DROPPED_PREFIXES)", ""),
        ("child_environment", "name not in dropped and ", ""),
        ("_DROPPED", '        "GRIDBYOC_BUNDLE_KEY",\n', ""),
        ("_SET", '    "TF_WORKSPACE": "default",', "    "),
    ),
    *_each(
        "errors/cards/secrets.py",
        "unit/test_failure_cards.py",
        ("without_secrets", 'match["name"] + _MASK', "match[0]"),
        ("without_session_token", 'match["name"] + _MASK', "match[0]"),
    ),
    *_each(
        "stack/files.py",
        "unit/test_stack_types.py unit/test_render_files.py",
        ("make_private_dir", "path.chmod(0o700)", "pass"),
    ),
)

CONTROL_PLANE = (
    *_each(
        "control_plane/create.py",
        "unit/test_control_plane_create.py",
        ("create_once", "    if existing is not None:\n", "    if False:\n"),
        ("_post", "    if existing is not None:\n", "    if False:\n"),
        ("_ours", "!= wanted.role_arn", "== ''"),
    ),
    *_each(
        "control_plane/http.py",
        "functional/test_control_plane_http.py unit/test_control_plane_account.py",
        ("base_url", "parts.username is not None or parts.password is not None", "False"),
        ("base_url", 'not in {"http", "https"}', 'in {"ftp"}'),
        ("cluster_path", 'cluster_id in {"", ".", ".."}', "False"),
        ("cluster_path", 'quote(cluster_id, safe="")', "quote(cluster_id)"),
        ("POLICY", '{"GET", "PUT", "DELETE"}', '{"GET", "PUT", "DELETE", "POST"}'),
    ),
)

ADDRESSES = _each(
    "control_plane/settings.py",
    "unit/test_control_plane_account.py",
    ("resolve_url", "_without_default_port(wanted) not in _named_by_the_user(dialect, environ, home)", "False"),
    ("_named_by_the_user", "found = {address.url}", "found = {address.url, 'http://somewhere.test'}"),
)

TERRAFORM = _each(
    "terraform/agreement.py",
    "functional/test_terraform_wrappers.py",
    ("unheeded_errors", 'said.kept(Diagnostic) if each.severity == "error"', "said.kept(Diagnostic) if False"),
    ("contradiction", "    if not heard:\n", "    if False:\n"),
    ("contradiction", "speaks != version", "False"),
    ("contradiction", "_counts(said, planned=False) is None", "False"),
    ("_of_plan", "code == 0 and (any(counted_) or changes or outputs)", "False"),
    ("_of_plan", "    if counts is None:\n", "    if False:\n"),
)

FILES = (
    *_each(
        "stack/files.py",
        "unit/test_foreign_files.py",
        ("check_plain", "stat.S_ISLNK(status.st_mode)", "False"),
        ("_inner_directory", " | os.O_NOFOLLOW", ""),
        ("shared_by_another", "status.st_uid != user and ", ""),
        ("shared_by_another", "bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))", "False"),
    ),
    *_each(
        "steps/local_files.py",
        "unit/test_foreign_files.py unit/test_destroy.py",
        ("remove_local_files", '"kept" if name in kept else made(name)', "made(name)"),
        ("_cleared", 'if whose in {"another\'s", "kept"}:', "if False:"),
        ("refuse_state_left_behind", "beside == work_dir or not _is_plain(old) or _is_plain(new)", "True"),
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *ROLE_ACCEPTS,
    *APPROVAL,
    *ACCOUNTS,
    *VERDICTS,
    *POLICIES,
    *FINGERPRINT,
    *BUNDLES,
    *STATE,
    *LEFTOVERS,
    *SECRETS,
    *CONTROL_PLANE,
    *ADDRESSES,
    *TERRAFORM,
    *FILES,
)
