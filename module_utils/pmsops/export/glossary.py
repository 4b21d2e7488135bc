# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words that the report uses in a sense of its own, each explained once, in both languages."""

from __future__ import annotations

TERMS = (
    *("gate", "blocker", "negative_control", "proof", "drill", "warm_copy", "hold", "swap"),
    *("former_database", "head"),
)
EN = {
    "glossary": "Glossary",
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
    "glossary": "Glossário",
    "term": "Termo",
    "meaning": "Significado",
    "term_gate": "Execução da lista de verificação",
    "means_gate": "As verificações antes da entrada em operação; o resultado é aprovado ou"
    " reprovado.",
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
    "term_head": "Posição do registro encadeado",
    "means_head": "O número e o hash da última linha; ela fixa todas as anteriores.",
}
