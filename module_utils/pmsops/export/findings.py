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
    # Anchors
    "stamps": "{count} time stamps",
    "stamps_1": "{count} time stamp",
    "authority": "authority, as the stamp names it",
    "root_given": "root certificate in the export, by this machine's word; compare it with"
    " --tsa-ca",
    "root_none": "root not compared: the export has no root certificate; give it with --tsa-ca",
    "after_stamps": "From line {line} ({day}) on, no time stamp of this export covers the ledger.",
    "all_stamped": "The newest time stamp covers the last line of the ledger.",
    "note_path": "noted here: a path. Whether it is on the same machine cannot be known from this"
    " export",
    "anchor_stamps": "NOT MEASURED by the ledger, which has no lines of this job. In this export"
    " (a head that did not change needs no new one)",
    # Environment
    "environment_said": "The records name their environment: {name}.",
    "environment_test": "That is not production: what is proved here was proved on a trial system.",
    "environment_live": "That is production.",
    "environment_other": "Ask the owner of the system whether that is production.",
    "environment_none": "Whether this is production is NOT MEASURED for {count} lines: their"
    " records name no environment.",
    # What the sections lack
    "gap_missed": "planned runs missed: {count} of {total}",
    "gap_failed_runs": "planned runs failed: {count} of {total}",
    "gap_no_lines": "jobs without lines in the ledger: {count}",
    "gap_plan_later": "jobs of which the schedule is known only for a part of the period: {count}",
    "gap_no_go": "go-live runs that failed: {count} of {total}",
    "gap_signed_no_go": "no-go signed by a person: {count}",
    "gap_unanswered": "runs with checks that were not measured: {count}",
    "gap_unproved": "sets that were not proved: {count} of {total}",
    "gap_damaged": "sets found damaged after they were proved: {count}",
    "gap_no_good": "no set that was proved and not found damaged at the end of the period",
    "gap_old": "the newest good set was {age} old at the end",
    "gap_age": "the newest set was as old as {age} (target {goal})",
    "gap_plain": "sets that are not encrypted: {count}",
    "gap_unknown_plain": "sets of which encryption is NOT MEASURED: {count}",
    "gap_one_site": "no line says that a copy is on another site",
    "gap_drills": "drills and proofs that did not pass: {count} of {total}",
    "gap_rto": "recoveries over the target of time (RTO): {count}",
    "gap_rpo": "recoveries over the target of data (RPO): {count}",
    "gap_phases": "recoveries with phases that were not measured: {count} of {total}",
    "gap_segregated": "drills that were not segregated: {count} of {total}",
    "gap_restores": "restores that did not pass: {count} of {total}",
    "gap_loss": "incidents of which the data loss is NOT MEASURED: {count}",
    "gap_overdue": "deficiencies overdue: {count} of {total} open",
    "gap_open": "deficiencies open: {count}",
    "gap_holds": "holds of which no line says when they began: {count}",
    "gap_logins": "NOT MEASURED: who logged in to the host and to the database",
}
PT = {
    # Sets
    "event_proved": "comprovada",
    "event_found_damaged": "constatada danificada",
    "event_proof_failed": "prova com falha",
    "newest_good": "Cópia mais recente comprovada e não constatada danificada no fim do período,"
    " ou na data da exportação, se anterior",
    "old_then": "com {age} de idade nessa data",
    "no_good_set": "nenhuma das cópias feitas no período",
    "present_only": "Presente no disco significa apenas que a pasta da cópia existe. A exportação"
    " não lê os seus arquivos: danos só aparecem em uma prova.",
    "no_set_named": "a linha não indica a cópia",
    "set_of_error": "indicada apenas no texto do erro",
    "tile_sets_once": "cópias comprovadas ao menos uma vez",
    "tile_damaged_later": "delas danificadas ou com falha em prova posterior",
    "tile_damaged_later_1": "delas danificada ou com falha em prova posterior",
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
    # Anchors
    "stamps": "{count} carimbos do tempo",
    "stamps_1": "{count} carimbo do tempo",
    "authority": "autoridade, como o carimbo a nomeia",
    "root_given": "certificado raiz incluído na exportação, segundo esta máquina; compare-o com"
    " --tsa-ca",
    "root_none": "raiz não comparada: a exportação não tem o certificado raiz; informe-o com"
    " --tsa-ca",
    "after_stamps": "A partir da linha {line} ({day}), nenhum carimbo do tempo desta exportação"
    " abrange o registro encadeado.",
    "all_stamped": "O carimbo do tempo mais recente abrange a última linha do registro encadeado.",
    "note_path": "anotado aqui: um caminho de arquivo. Por esta exportação, não há como saber se"
    " ele está na mesma máquina",
    "anchor_stamps": "NÃO MEDIDO pelo registro encadeado, que não tem linhas desta tarefa. Nesta"
    " exportação (um resumo que não mudou não precisa de novo carimbo)",
    # Environment
    "environment_said": "Ambiente indicado nas linhas do registro encadeado: {name}.",
    "environment_test": "Não é produção: o que está comprovado aqui foi comprovado em um sistema de"
    " teste.",
    "environment_live": "É produção.",
    "environment_other": "Pergunte ao responsável pelo sistema se é produção.",
    "environment_none": "Se isto é produção está NÃO MEDIDO em {count} linhas: elas"
    " não indicam o ambiente.",
    # What the sections lack
    "gap_missed": "execuções previstas e não realizadas: {count} de {total}",
    "gap_failed_runs": "execuções previstas com falha: {count} de {total}",
    "gap_no_lines": "tarefas sem linhas no registro encadeado: {count}",
    "gap_plan_later": "tarefas cujo agendamento só é conhecido em parte do período: {count}",
    "gap_no_go": "execuções da lista de verificação com falha: {count} de {total}",
    "gap_signed_no_go": "decisões no-go assinadas por pessoas: {count}",
    "gap_unanswered": "execuções com itens não medidos: {count}",
    "gap_unproved": "cópias não comprovadas: {count} de {total}",
    "gap_damaged": "cópias constatadas danificadas depois de comprovadas: {count}",
    "gap_no_good": "nenhuma cópia comprovada e não constatada danificada no fim do período",
    "gap_old": "a cópia íntegra mais recente tinha {age} de idade no fim",
    "gap_age": "a cópia mais recente chegou a {age} de idade (meta {goal})",
    "gap_plain": "cópias não criptografadas: {count}",
    "gap_unknown_plain": "cópias com criptografia NÃO MEDIDA: {count}",
    "gap_one_site": "nenhuma linha indica uma cópia em outro local",
    "gap_drills": "testes de restauração e provas sem êxito: {count} de {total}",
    "gap_rto": "recuperações acima da meta de tempo (RTO): {count}",
    "gap_rpo": "recuperações acima da meta de dados (RPO): {count}",
    "gap_phases": "recuperações com fases não medidas: {count} de {total}",
    "gap_segregated": "testes de restauração em ambiente não segregado: {count} de {total}",
    "gap_restores": "restaurações sem êxito: {count} de {total}",
    "gap_loss": "incidentes com perda de dados NÃO MEDIDA: {count}",
    "gap_overdue": "deficiências em atraso: {count} de {total} em aberto",
    "gap_open": "deficiências em aberto: {count}",
    "gap_holds": "bloqueios cujo início nenhuma linha informa: {count}",
    "gap_logins": "NÃO MEDIDO: quem acessou o servidor e o banco de dados",
}
