# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of what persons owe, approve and sign, in both languages."""

from __future__ import annotations

EN = {
    # Deficiencies
    "deficiencies": "Deficiencies",
    "deficiencies_lead": "Each deficiency that was open on a day of the period.",
    "state_end": "At the end of the period",
    "deficiency": "Deficiency",
    "owner": "Owner",
    "due": "Due",
    "overdue": "overdue",
    "opened_by": "Opened by",
    "days_overdue": "for {count} days",
    "days_overdue_1": "for {count} day",
    "closed_late": "{count} days after it was due",
    "closed_late_1": "{count} day after it was due",
    "tile_overdue": "deficiencies overdue",
    "closed_by": "closed, shown by",
    # Access and keys
    "access": "Access and keys",
    "access_gap": "NOT MEASURED: who logged in to the host and to the database. Ask for their own"
    " logs.",
    "changes": "Changes of keys and machines",
    "what": "What",
    "event_began": "signing began",
    "event_rotated": "key rotated, both keys signed",
    "event_replaced": "lost key replaced, the old one did not sign",
    "event_accepted": "lines accepted by a person",
    "event_host": "a new machine took over",
    "event_merge": "evidence of a replaced machine was brought",
    "approvals": "Plans that a second person approved",
    "approvals_lead": "Each use of an approval: for that plan, within an hour, for one run. A"
    " second person signed the plan with a key of their own. The line of the ledger has what was"
    " signed, and verify.py checks it: the signature, that it is of this very plan, when it was"
    " signed, that it was used once, and that the signer is not who ordered the plan. Which person"
    " has a key is this system's word: compare it with them. Where the signature is not in this"
    " export, a release wrote the line that kept none, and nobody can check it. Waited: from the"
    " plan being shown to the signature.",
    "approval_signature": "Signature, by key",
    "signature_here": "in this line:",
    "signature_not_here": "not in this export",
    "operation": "Act",
    "plan_swap": "restore",
    "plan_rollback": "rollback",
    "plan_whole server": "restore of a whole server",
    "plan_rollback of a whole server": "rollback of a whole server",
    "plan_off-site prune": "removal of copies on another site",
    "ordered_by": "Ordered by",
    "approved_by": "Approved by",
    "approved_at": "Signed at",
    "waited": "Waited",
    "persons": "What persons signed or attested",
    "attested_check": "attested",
    "unsigned": "No sign-off of the {role}: {count} of {total} whole go-live runs.",
    "unsigned_1": "No sign-off of the {role}: {count} of {total} whole go-live run.",
    "role": "Role",
    "decision": "Decision or task",
}
PT = {
    # Deficiencies
    "deficiencies": "Deficiências",
    "deficiencies_lead": "Cada deficiência que estava em aberto em algum dia do período.",
    "state_end": "No fim do período",
    "deficiency": "Deficiência",
    "owner": "Responsável",
    "due": "Prazo",
    "overdue": "vencida",
    "opened_by": "Aberta por",
    "days_overdue": "há {count} dias",
    "days_overdue_1": "há {count} dia",
    "closed_late": "{count} dias após o prazo",
    "closed_late_1": "{count} dia após o prazo",
    "tile_overdue": "deficiências vencidas",
    "closed_by": "encerrada, demonstrada pela",
    # Access and keys
    "access": "Acessos e chaves",
    "access_gap": "NÃO MEDIDO: quem acessou o servidor e o banco de dados. Solicite os logs de"
    " acesso desses sistemas.",
    "changes": "Mudanças de chaves e de máquinas",
    "what": "O quê",
    "event_began": "início das assinaturas",
    "event_rotated": "chave substituída, com a assinatura das duas chaves",
    "event_replaced": "chave perdida substituída, sem a assinatura da anterior",
    "event_accepted": "linhas aceitas por uma pessoa",
    "event_host": "uma nova máquina assumiu",
    "event_merge": "as evidências de uma máquina substituída foram incorporadas",
    "approvals": "Planos aprovados por uma segunda pessoa",
    "approvals_lead": "Cada uso de uma aprovação: para esse plano, por até uma hora, para uma só"
    " execução. Uma segunda pessoa assinou o plano com a sua própria chave. A linha do registro"
    " encadeado contém o que foi assinado, e o verify.py o verifica: a assinatura, se é deste exato"
    " plano, quando foi feita, se foi usada uma só vez e se quem assinou não é quem ordenou o"
    " plano. A quem pertence cada chave é a palavra deste sistema: confirme com a pessoa. Onde a"
    " assinatura não está nesta exportação, a linha é de uma versão que não a guardava, e ninguém"
    " pode verificá-la. Espera: da apresentação do plano até a assinatura.",
    "approval_signature": "Assinatura, pela chave",
    "signature_here": "nesta linha:",
    "signature_not_here": "não está nesta exportação",
    "operation": "Ato",
    "plan_swap": "restauração",
    "plan_rollback": "reversão",
    "plan_whole server": "restauração de um servidor inteiro",
    "plan_rollback of a whole server": "reversão de um servidor inteiro",
    "plan_off-site prune": "exclusão de cópias em outro local",
    "ordered_by": "Ordenado por",
    "approved_by": "Aprovado por",
    "approved_at": "Assinado em",
    "waited": "Espera",
    "persons": "O que pessoas assinaram ou atestaram",
    "attested_check": "atestou",
    "unsigned": "Sem assinatura do {role} em {count} de {total} execuções completas.",
    "unsigned_1": "Sem assinatura do {role} em {count} de {total} execução completa.",
    "role": "Função",
    "decision": "Decisão ou tarefa",
}
