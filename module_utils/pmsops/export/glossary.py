# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words that the report uses in a sense of its own, each explained once, in both languages."""

from __future__ import annotations

TERMS = (
    *("pms", "ledger", "record", "head", "gate", "blocker", "waiver", "attested"),
    *("negative_control", "proof", "drill", "segregated", "rto", "rpo", "phases", "warm_copy"),
    *("hold", "swap", "former_database", "tsa", "vault"),
)
EN = {
    "role_portfolio manager": "portfolio manager",
    "role_administrator": "administrator",
    "role_risk officer": "risk officer",
    "glossary": "Glossary",
    "term_pms": "PMS",
    "means_pms": "The portfolio management system: database, programs and pages of the fund.",
    "term_ledger": "Ledger",
    "means_ledger": "The list of signed lines, each with the hash of the line before it.",
    "term_record": "Record",
    "means_record": "The file with what a run or an incident found; a line of the ledger names it.",
    "term_waiver": "Waiver",
    "means_waiver": "A person's signed decision that a check may fail until a day.",
    "term_attested": "Attested",
    "means_attested": "A person says that it holds; no program measured it.",
    "term_segregated": "Segregated",
    "means_segregated": "On a machine that shares nothing with the one in use. A drill on the host"
    " itself is not segregated.",
    "term_rto": "RTO, recovery time",
    "means_rto": "The time from a disaster until the PMS works again; its target is the RTO.",
    "term_rpo": "RPO, recovery point",
    "means_rpo": "The age of the data that come back, so what would be lost; its target is the"
    " RPO.",
    "term_phases": "Phases",
    "means_phases": "Parts of the recovery time: detect (the playbook finds the symptoms; the time"
    " before somebody started it is not in it), decide (until a person orders it), fetch (the set"
    " comes to the host), restore, verify (compare), resume (the PMS runs again).",
    "term_tsa": "tsa",
    "means_tsa": "A time stamping authority: it signs a hash and the time, by RFC 3161.",
    "term_vault": "vault",
    "means_vault": "A place where heads of the ledger are kept. It helps where it is on another"
    " machine, and cannot be changed from here.",
    "term": "Term",
    "meaning": "Meaning",
    "term_gate": "Gate, go-live run",
    "means_gate": "A run of the checklist; its verdict is go or no-go.",
    "term_blocker": "Blocker",
    "means_blocker": "A check that stops the go-live when it fails.",
    "term_negative_control": "Negative control",
    "means_negative_control": "A fault that is planted on purpose. A proof counts only if it finds"
    " the fault; NOT FOUND means that the proof is broken.",
    "term_proof": "Proof",
    "means_proof": "A restore beside the live database, compared with the original row by row.",
    "term_drill": "Drill",
    "means_drill": "A planned proof that also measures time and data loss.",
    "term_warm_copy": "Warm copy",
    "means_warm_copy": "A proved copy that stays on the server, ready for a swap.",
    "term_hold": "Hold",
    "means_hold": "An order that no person and no retention deletes this set.",
    "term_swap": "Swap",
    "means_swap": "A restored database takes the place of the live one, by renaming both.",
    "term_former_database": "Replaced or former database",
    "means_former_database": "The live database before a swap, kept under another name.",
    "term_head": "Head of the ledger",
    "means_head": "The number and the hash of its last line; it fixes all lines before it.",
}
PT = {
    "role_portfolio manager": "gestor da carteira",
    "role_administrator": "administrador",
    "role_risk officer": "diretor de risco",
    "glossary": "Glossário",
    "term_pms": "PMS",
    "means_pms": "O sistema de gestão da carteira (portfolio management system): o banco de dados,"
    " os programas e as páginas do fundo.",
    "term_ledger": "Registro encadeado",
    "means_ledger": "A lista de linhas assinadas, cada uma com o hash da linha anterior.",
    "term_record": "Documento",
    "means_record": "O arquivo com o que uma execução ou um incidente constatou; uma linha do"
    " registro encadeado o cita.",
    "term_waiver": "Dispensa",
    "means_waiver": "A decisão assinada de uma pessoa: uma verificação pode falhar até certo dia.",
    "term_attested": "Atestada",
    "means_attested": "Uma pessoa afirma que é assim; nenhum programa a mediu.",
    "term_segregated": "Ambiente segregado",
    "means_segregated": "Uma máquina que nada compartilha com a que está em uso. Um teste no"
    " próprio servidor não é segregado.",
    "term_rto": "RTO, tempo de recuperação",
    "means_rto": "O tempo de um desastre até o PMS voltar a funcionar; a sua meta é o RTO.",
    "term_rpo": "RPO, ponto de recuperação",
    "means_rpo": "A idade dos dados recuperados, ou seja, o que se perderia; a sua meta é o RPO.",
    "term_phases": "Fases",
    "means_phases": "Partes do tempo de recuperação: detectar (o roteiro encontra os"
    " sintomas; o tempo até alguém iniciá-lo não está incluído), decidir (até uma pessoa ordenar),"
    " buscar (a cópia chega ao servidor), restaurar, verificar (comparar), retomar (o PMS volta a"
    " funcionar).",
    "term_tsa": "tsa",
    "means_tsa": "Uma autoridade de carimbo do tempo: assina um hash e o horário (RFC 3161).",
    "term_vault": "vault",
    "means_vault": "Um lugar que guarda resumos do registro encadeado. Ajuda se está em outra"
    " máquina e não pode ser alterado daqui.",
    "term": "Termo",
    "meaning": "Significado",
    "term_gate": "Gate, execução da lista de verificação",
    "means_gate": "As verificações antes da entrada em operação; a decisão é go (liberada) ou no-go"
    " (não liberada).",
    "term_blocker": "Verificação impeditiva",
    "means_blocker": "Uma verificação que, se falhar, impede a entrada em operação.",
    "term_negative_control": "Controle negativo",
    "means_negative_control": "Uma falha introduzida de propósito. A prova só é válida se detectar"
    " essa falha; NÃO DETECTADO significa que a prova não é válida.",
    "term_proof": "Prova",
    "means_proof": "Uma restauração ao lado do banco de dados em uso, comparada com o original"
    " linha a linha.",
    "term_drill": "Teste de restauração",
    "means_drill": "Uma prova planejada que também mede o tempo e a perda de dados.",
    "term_warm_copy": "Cópia de prontidão",
    "means_warm_copy": "Uma cópia comprovada que permanece no servidor, pronta para uma troca.",
    "term_hold": "Bloqueio de exclusão",
    "means_hold": "Uma ordem para que nem pessoas nem a retenção excluam a cópia.",
    "term_swap": "Troca",
    "means_swap": "Um banco de dados restaurado assume o lugar do que está em uso; os dois são"
    " renomeados.",
    "term_former_database": "Banco de dados substituído",
    "means_former_database": "O que estava em uso antes de uma troca, mantido com outro nome.",
    "term_head": "Resumo (hash) do registro encadeado",
    "means_head": "O número e o hash da última linha; ele fixa todas as anteriores.",
}
