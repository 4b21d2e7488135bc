# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of what the report finds in the records, in both languages."""

from __future__ import annotations

EN = {
    # Sets
    "event_proved": "proved",
    "event_found_damaged": "found damaged",
    "event_proof_failed": "proof failed",
    "newest_good": "The newest set that was proved and not found damaged at the end of the period,"
    " or at the export where that came first",
    "old_then": "{age} old then",
    "no_good_set": "none of the sets that were made in the period",
    "present_only": "Present on the disk means only that the folder of the set is there. The export"
    " reads none of its files: what is damaged shows in a proof.",
    "no_set_named": "the line names no set",
    "set_of_error": "named only in the text of the error",
    "tile_sets_once": "sets once proved",
    "tile_damaged_later": "of them were found damaged later, or failed a later proof",
    "tile_damaged_later_1": "of them was found damaged later, or failed a later proof",
    # Recoveries
    "rto_chart": "Recovery time (RTO) of drills and proofs",
    "rpo_chart": "Recovery point (RPO) of drills, proofs and restores",
    "restore_left": "The restore did not cover",
    "tile_planned_drills": "planned drills passed",
    "tile_restores": "restores, swaps and rollbacks passed",
    "tile_rpo": "largest recovery point (RPO) of a drill or a restore",
    "tile_rpo_over": "largest recovery point (RPO) of a drill or a restore, over the target",
    "tile_rpo_within": "largest recovery point (RPO) of a drill or a restore, within the target",
    "drills_of": "Drills and proofs",
    "drills_lead": "The recovery point of a drill is the age of its set at that moment. A drill"
    " that runs right after its own backup has a small one: the greatest age of each month, above,"
    " says what a disaster would have cost.",
    "ages": "Greatest age of the newest set, by month",
    "ages_lead": "From the lines of the backups: how old the newest set had grown before the next"
    " one, or by the end of the month. Sets that were later found damaged count as they were made.",
    "month": "Month",
    "sets_made": "Sets made",
    "oldest": "Greatest age",
    "no_set_before": "NOT MEASURED: this export knows of no set before",
}
PT = {
    # Sets
    "event_proved": "comprovada",
    "event_found_damaged": "constatada danificada",
    "event_proof_failed": "reprovada em prova",
    "newest_good": "Cópia mais recente comprovada e não constatada danificada no fim do período,"
    " ou na data da exportação, se anterior",
    "old_then": "com {age} de idade nessa data",
    "no_good_set": "nenhuma das cópias feitas no período",
    "present_only": "Presente no disco significa apenas que a pasta da cópia existe. A exportação"
    " não lê os seus arquivos: danos só aparecem em uma prova.",
    "no_set_named": "a linha não indica a cópia",
    "set_of_error": "indicada apenas no texto do erro",
    "tile_sets_once": "cópias comprovadas ao menos uma vez",
    "tile_damaged_later": "delas danificadas ou reprovadas em prova posterior",
    "tile_damaged_later_1": "delas danificada ou reprovada em prova posterior",
    # Recoveries
    "rto_chart": "Tempo de recuperação (RTO) de testes de restauração e provas",
    "rpo_chart": "Ponto de recuperação (RPO) de testes de restauração, provas e restaurações",
    "restore_left": "A restauração não abrangeu",
    "tile_planned_drills": "testes de restauração previstos com êxito",
    "tile_restores": "restaurações, trocas e reversões com êxito",
    "tile_rpo": "maior ponto de recuperação (RPO) de teste ou restauração",
    "tile_rpo_over": "maior ponto de recuperação (RPO) de teste ou restauração, acima da meta",
    "tile_rpo_within": "maior ponto de recuperação (RPO) de teste ou restauração, dentro da meta",
    "drills_of": "Testes de restauração e provas",
    "drills_lead": "O ponto de recuperação de um teste de restauração é a idade da sua cópia"
    " naquele momento. Um teste executado logo após o próprio backup tem um valor pequeno: a maior"
    " idade de cada mês, acima, indica quanto um desastre teria custado.",
    "ages": "Maior idade da cópia mais recente, por mês",
    "ages_lead": "Pelas linhas dos backups: a idade que a cópia mais recente atingiu antes da"
    " seguinte, ou até o fim do mês. Cópias depois constatadas danificadas contam como foram"
    " feitas.",
    "month": "Mês",
    "sets_made": "Cópias feitas",
    "oldest": "Maior idade",
    "no_set_before": "NÃO MEDIDO: esta exportação não conhece cópia anterior",
}
