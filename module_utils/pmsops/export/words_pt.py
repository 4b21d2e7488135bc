# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of the report for a period, in Brazilian Portuguese. words_en.py has the same keys."""

from __future__ import annotations

WORDS = {
    "language": "pt-BR",
    "title": "Evidências da operação",
    "skip": "Ir para o conteúdo",
    "period": "Período",
    "to": "a",
    "system": "Sistema",
    "host": "Servidor",
    "made_at": "Exportado em",
    "zone": "Todos os horários são de São Paulo, salvo indicação em contrário.",
    "reading": "O número de uma linha é o seu seq em ledger/lines.jsonl ou ledger/earlier.jsonl da"
    " exportação. NÃO MEDIDO significa que não há como saber; nunca conta como aprovado. O que os"
    " registros dizem é reproduzido como foi gravado, em geral em inglês.",
    "signed_by": "Assinado pela chave",
    "period_open": "O período ainda não terminou: o que vier depois da exportação não consta deste"
    " relatório.",
    "empty": "Este período está vazio: o registro encadeado não tem nenhuma linha dele.",
    "whole": "O registro encadeado está íntegro: a cadeia e as assinaturas foram verificadas.",
    "problems": "O que não é confiável",
    "problems_lead": "As próprias evidências estão danificadas ou incompletas. Cada falha é"
    " indicada aqui, e o verify.py a encontra novamente. Os textos do sistema estão em inglês.",
    "notes": "Observações do registro encadeado",
    "none": "Nada a registrar neste período.",
    "table": "Tabela",
    "line": "Linha",
    "at": "Horário",
    "verdict": "Resultado",
    "pass": "aprovado",
    "fail": "reprovado",
    "not_measured": "NÃO MEDIDO",
    "ticket": "Ordem",
    "why": "Motivo",
    "who": "Responsável",
    "set": "Cópia",
    "key": "Chave",
    "of_database": "do banco de dados",
    "line_of": "linha",
    # At a glance
    "glance": "Visão geral",
    "tile_runs": "execuções da lista de verificação: aprovadas / total",
    "tile_sets": "cópias de segurança: comprovadas / feitas",
    "tile_drills": "testes de restauração e provas: aprovados / total",
    "tile_missed": "execuções previstas e não realizadas",
    "tile_incidents": "incidentes",
    "tile_deficiencies": "deficiências em aberto",
    # Planned and done
    "plan": "Previsto, realizado, com falha, não realizado",
    "plan_lead": "O cronograma comparado com o registro encadeado. Uma execução consta como não"
    " realizada se o registro não tem nenhuma linha dela antes da próxima prevista: ela não"
    " ocorreu ou falhou antes de gravar uma linha.",
    "no_plan": "NÃO MEDIDO: este servidor não tem um cronograma que possa ser lido; portanto, não"
    " se sabe o que estava previsto.",
    "job": "Tarefa",
    "when": "Quando (São Paulo)",
    "planned": "Previstas",
    "done": "Realizadas",
    "failed": "Com falha",
    "missed": "Não realizadas",
    "missed_at": "Não realizadas em",
    "more": "a mais",
    "unknown_until": "NÃO MEDIDO antes de {moment}: o cronograma ainda não era conhecido",
    "unrecorded": "NÃO MEDIDO: o registro encadeado não tem linhas desta tarefa",
    "daily": "diariamente",
    "business_days": "nos dias úteis da B3",
    "week_start": "no primeiro dia útil da semana",
    "month_start": "no primeiro dia útil do mês",
    "Mon": "às segundas-feiras",
    "Tue": "às terças-feiras",
    "Wed": "às quartas-feiras",
    "Thu": "às quintas-feiras",
    "Fri": "às sextas-feiras",
    "Sat": "aos sábados",
    "Sun": "aos domingos",
    # Runs
    "runs": "Execuções da lista de verificação",
    "run": "Execução",
    "checks": "Verificações aprovadas",
    "unmeasured_checks": "Não medidas",
    "blocking": "Impeditivas",
    "control": "Controle negativo",
    "partial": "parcial",
    "found": "detectado",
    "not_found": "NÃO DETECTADO: a prova não é válida",
    # Sets
    "sets": "Cópias de segurança e quais foram comprovadas",
    "sets_lead": "Uma cópia está comprovada se um teste, uma prova ou uma restauração a recuperou"
    " por inteiro e a encontrou igual ao original. O que ninguém testou não está comprovado.",
    "made": "Feita em",
    "size": "Tamanho",
    "rows": "Linhas de dados",
    "proved": "Comprovada",
    "not_proved": "não comprovada",
    "proof_failed": "a prova falhou",
    "state": "Na data da exportação",
    "there": "em disco",
    "held": "bloqueada contra exclusão",
    "damaged": "danificada",
    "removed": "excluída",
    "unknown": "NÃO MEDIDO: não está em disco, e nenhuma linha informa a sua exclusão",
    # Times
    "times": "Tempo e ponto de recuperação em relação às metas",
    "times_lead": "Cada teste de restauração e cada prova do período. Um ponto que não foi medido"
    " não aparece na curva e nunca é mostrado como zero.",
    "rto": "Tempo de recuperação (RTO)",
    "rpo": "Ponto de recuperação (RPO)",
    "target": "meta",
    "no_target": "sem meta",
    "over": "acima da meta",
    "within": "dentro da meta",
    "where": "Onde",
    "here": "no próprio servidor",
    "segregated": "ambiente segregado",
    "not_segregated": "ambiente não segregado",
    "chart_of": "{what}, em {unit}. A linha sem pontos é a meta.",
    "chart_without": "{what}, em {unit}",
    "no_times": "NÃO MEDIDO: nenhum teste deste período informa quanto tempo levou.",
    "phases": "Fases",
    "detect": "detectar",
    "decide": "decidir",
    "fetch": "buscar",
    "restore_phase": "restaurar",
    "verify": "verificar",
    "resume": "retomar",
    # Waivers
    "waivers": "Dispensas em vigor",
    "check": "Verificação",
    "since": "De",
    "until": "Até",
    # Holds and deletions
    "holds": "Bloqueios de exclusão e exclusões",
    "holds_now": "Bloqueios de exclusão na data da exportação",
    "holds_gap": "NÃO MEDIDO: quando cada bloqueio começou e quais foram suspensos. O registro"
    " encadeado não tem linhas a esse respeito.",
    "deletions": "Exclusões",
    "by_policy": "pela política de retenção",
    "by_person": "por uma pessoa, ou dada como ausente",
    "on_site": "em outro local",
    # Restores and disasters
    "restores": "Restaurações e desastres",
    "restores_of": "Restaurações, trocas e reversões",
    "kind": "Tipo",
    "kind_restore": "restauração",
    "kind_swap": "troca",
    "kind_rollback": "reversão",
    "kind_host": "nova máquina",
    "down": "PMS indisponível por",
    "former": "Banco de dados substituído",
    "incidents": "Incidentes",
    "incident": "Incidente",
    "began": "Início",
    "closed": "Encerramento",
    "open": "em aberto",
    "recovery": "Duração da recuperação",
    "cause": "Causa",
    "data_loss": "Perda de dados",
    "unreadable": "o seu registro não pode ser lido",
    # Deficiencies
    "deficiencies": "Deficiências",
    "deficiencies_lead": "As que estavam em aberto em algum dia do período, na situação em que se"
    " encontravam no fim dele.",
    "deficiency": "Deficiência",
    "owner": "Responsável",
    "due": "Prazo",
    "overdue": "vencida",
    "closed_by": "encerrada, demonstrada pela",
    # Access and keys
    "access": "Acessos e chaves",
    "access_gap": "NÃO MEDIDO: quem acessou o servidor e o banco de dados. Solicite os registros de"
    " acesso desses sistemas.",
    "changes": "Mudanças de chaves e de máquinas",
    "what": "O quê",
    "event_began": "início das assinaturas",
    "event_rotated": "chave trocada, com a assinatura das duas chaves",
    "event_replaced": "chave perdida substituída, sem a assinatura da anterior",
    "event_accepted": "linhas aceitas por uma pessoa",
    "event_host": "uma nova máquina assumiu",
    "event_merge": "as evidências de uma máquina substituída foram incorporadas",
    "persons": "O que pessoas assinaram ou atestaram",
    "role": "Função",
    "decision": "Decisão ou tarefa",
    # Checklists
    "checklists": "Versões da lista de verificação",
    "version": "Versão (SHA-256)",
    "first_run": "Primeira execução",
    "last_run": "Última execução",
    "runs_count": "Execuções",
    "checks_count": "Verificações (impeditivas)",
    "added": "Incluídas",
    "dropped": "Retiradas",
    # Not covered
    "not_covered": "O que não está coberto",
    "not_covered_lead": "Os próprios registros informam o que não cobrem.",
    "records_count": "Registros",
    "not_covered_none": "Nenhum registro deste período indica algo.",
    # Mapping
    "mapping": "Onde cada norma pode procurar",
    "mapping_lead": "Esta tabela segue apenas títulos e não é um parecer jurídico. A assessoria"
    " jurídica deve confirmar, para cada norma, se ela se aplica e se estas evidências a atendem.",
    "rule": "Norma, pelo título",
    "sections": "Seções deste relatório",
    "rule_dora": "DORA, artigo 12: políticas e procedimentos de cópia de segurança, procedimentos e"
    " métodos de restauração e recuperação",
    "rule_cvm": "Resolução CVM 21: relatório anual sobre regras, procedimentos e controles"
    " internos",
    "rule_anbima": "ANBIMA: plano de continuidade de negócios e o seu teste anual",
    "rule_soc_12": "SOC 2, A1.2: processos de cópia de segurança de dados e infraestrutura de"
    " recuperação",
    "rule_soc_13": "SOC 2, A1.3: testes dos procedimentos do plano de recuperação",
    "rule_iso": "ISO/IEC 27001:2022, A.8.13: cópias de segurança das informações",
    # How to check
    "proof": "Como conferir",
    "proof_lead": "Este relatório é um arquivo de uma exportação assinada. Descompacte a exportação"
    " e execute:",
    "proof_key": "Obtenha o identificador da chave por outro meio que não a exportação e compare-o."
    " Sem o pacote cryptography, o verify.py informa que as assinaturas não foram verificadas.",
    "anchored": "Posições do registro encadeado que saíram da máquina",
    "anchor": "Âncora",
    "anchors_none": "NÃO MEDIDO: nenhuma posição do registro encadeado saiu da máquina; portanto, o"
    " fim dele depende apenas da palavra desta máquina.",
    "last_line": "Linha",
    "stamp": "carimbo do tempo incluído na exportação",
    "note": "anotado aqui; consulte o próprio destino",
    "footer": "Feito pelo pms-ops a partir dos arquivos desta exportação. Nada é carregado de"
    " fora.",
    "readme": "Evidências de {system}, de {since} a {until}.\n\n"
    "O relatório está em report.html. Confira a exportação inteira, sem rede, apenas com Python:\n"
    "\n    python verify.py --key CHAVE\n\n"
    "CHAVE é o identificador da chave de assinatura, que deve ser obtido por outro meio. As\n"
    "assinaturas requerem o pacote cryptography; sem ele, o verify.py avisa e termina com o código"
    " 3.\n"
    "python verify.py --help descreve cada arquivo e cada código.\n",
}
